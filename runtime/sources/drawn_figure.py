"""A drawn person in ten yoga poses: pictures for the demo, the tests and training without a download.

Bones have absolute directions on the picture (degrees: 0 up, 90 right, 180 down) and lengths in body heights,
so any two poses blend bone by bone.  The body becomes a list of rounded shapes; these decide where the ground
is, what fits in the picture and what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ..core.opencv import cv2

Bgr = tuple[int, int, int]
Range = tuple[int, int]
Joints = dict[str, np.ndarray]  # name -> float64 (2,): x right, y down

# Lengths in body heights, near those of Winter, Biomechanics and Motor Control, fig. 4.1; hand and foot
# a little short, head a little large: it reads better when small.
WAIST, CHEST, NECK, HEAD = 0.13, 0.17, 0.05, 0.064
ARM = {"elbow": 0.17, "wrist": 0.145, "hand": 0.075}
LEG = {"knee": 0.245, "ankle": 0.245, "toe": 0.105}
SHOULDER_HALF, HIP_HALF = 0.1, 0.058
BODY_SHARE = 0.64  # body height over the picture's smaller side at zoom 1; arms overhead add a quarter
MARGIN = 0.03
BONES = ("upper", "lower", "end")
SPINE = ("hips", "waist", "chest", "head")
LIMBS = ("near_arm", "far_arm", "near_leg", "far_leg")
SHIFT = 4  # fractional bits of the coordinates given to OpenCV
TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


@dataclass(frozen=True)
class Limb:
    """Directions in degrees of an arm (upper arm, forearm, hand) or a leg (thigh, shin, foot)."""

    upper: float
    lower: float
    end: float
    upper_reach: float = 1.0  # visible share of the length; below 1 the bone points to or from the camera
    lower_reach: float = 1.0
    end_reach: float = 1.0


@dataclass(frozen=True)
class Pose:
    """A 2-D skeleton.  near: the side towards the camera; in a front view the one right on the picture."""

    hips: float  # up axis of the pelvis; it tilts the hip line
    waist: float
    chest: float
    head: float
    near_arm: Limb
    far_arm: Limb
    near_leg: Limb
    far_leg: Limb
    width: float = 1.0  # 0 = side view facing right, 1 = front view
    gaze: float = 0.0  # 0 = face to the camera, 1 = to the right
    feet_level: float = 0.0  # 1: the line between the toes lies level on the ground
    hand_level: float = 0.0  # 1: the line from the near toes to the near hand lies level on the ground


@dataclass(frozen=True)
class Appearance:
    """Colours (BGR), proportions (1 = average) and camera of one picture."""

    skin: Bgr = (140, 175, 226)
    top: Bgr = (128, 138, 42)
    trousers: Bgr = (98, 64, 52)
    hair: Bgr = (34, 44, 66)
    mat: Bgr = (178, 140, 168)
    wall: Bgr = (222, 232, 238)
    floor: Bgr = (150, 182, 208)
    thickness: float = 1.0
    head: float = 1.0
    arms: float = 1.0
    legs: float = 1.0
    torso: float = 1.0
    breadth: float = 1.0  # of shoulders and hips
    sleeve: float = 0.0  # covered share of the upper arm
    trouser: float = 0.85  # covered share of the shin
    bun: float = 0.4  # radius over the head's; 0 = short hair
    mirror: bool = False
    zoom: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)  # shift of the figure as a share of the picture (right, down)
    window_x: float | None = None  # centre as a share of the width; None = no window


@dataclass(frozen=True)
class Shape:
    """The convex hull of circles.  centres: float64 (K, 2); radii: float64 (K, 1)."""

    centres: np.ndarray
    radii: np.ndarray
    colour: Bgr


@dataclass(frozen=True)
class Camera:
    """Where body coordinates fall on the picture."""

    scale: float  # pixels for one body height
    origin: np.ndarray  # float64 (2,) pixels of body (0, 0)
    ground: np.ndarray  # float64 (2,) pixels of the ground below the body's middle
    span: tuple[float, float]  # the body's left and right end from that middle, body heights


# fmt: off
POSES: dict[str, Pose] = {
    "down_dog": Pose(134, 134, 134, 146, Limb(135, 135, 97), Limb(133, 133, 97), Limb(204, 207, 98),
                     Limb(201, 206, 98), width=0.0, gaze=1.0, hand_level=1.0),
    "up_dog": Pose(76, 55, 11, -11, Limb(183, 178, 96), Limb(178, 172, 96), Limb(261, 264, 264),
                   Limb(259, 265, 264), width=0.0, gaze=1.0, hand_level=1.0),
    "tree": Pose(0, 0, 0, 0, Limb(-2, -37, -4), Limb(2, 37, 4),
                 Limb(129, -107, 196, 0.95, 0.97, 0.9), Limb(177, 178, -155, end_reach=0.5)),
    "warrior_2": Pose(0, 0, 0, 2, Limb(90, 90, 90), Limb(-90, -90, -90),
                      Limb(104, 180, 96), Limb(-124, -125, -140, end_reach=0.7), gaze=0.9, feet_level=1.0),
    "low_lunge": Pose(5, 2, -5, -8, Limb(-1, 2, 2), Limb(9, 11, 9), Limb(82, 190, 97),
                      Limb(222, 268, 266), width=0.0, gaze=1.0, feet_level=1.0),
    "plank": Pose(73, 73, 73, 76, Limb(181, 180, 97), Limb(176, 175, 97), Limb(253, 253, 172),
                  Limb(251, 252, 170), width=0.0, gaze=1.0, hand_level=1.0),
    "goddess": Pose(0, 0, 0, 0, Limb(94, 2, 0), Limb(-94, -2, 0), Limb(104, 178, 116, end_reach=0.75),
                    Limb(-104, -178, -116, end_reach=0.75), feet_level=1.0),
    "chair": Pose(30, 30, 24, 20, Limb(29, 27, 28), Limb(37, 35, 36), Limb(108, 199, 97), Limb(104, 196, 97),
                  width=0.0, gaze=1.0),
    "triangle": Pose(40, 72, 80, 76, Limb(182, 181, 180), Limb(2, 0, 0), Limb(148, 148, 97),
                     Limb(-148, -148, -150, end_reach=0.7), feet_level=1.0),
    "half_moon": Pose(75, 103, 108, 100, Limb(172, 170, 160), Limb(0, -2, -2), Limb(178, 180, 97),
                      Limb(-88, -88, -50, end_reach=0.8), hand_level=1.0),
    "standing": Pose(0, 0, 0, 0, Limb(165, 171, 176), Limb(-165, -171, -176),
                     Limb(176, 178, 150, end_reach=0.5), Limb(-176, -178, -150, end_reach=0.5)),
}
# fmt: on


def blend_poses(a: Pose, b: Pose, fraction: float) -> Pose:
    """Mix two poses, each direction the short way round.  Linear: the caller chooses the easing."""
    limbs = {name: Limb(**_mix(getattr(a, name), getattr(b, name), fraction, BONES)) for name in LIMBS}
    return replace(a, **limbs, **_mix(a, b, fraction, SPINE))


def _mix(a: Pose | Limb, b: Pose | Limb, fraction: float, directions: tuple[str, ...]) -> dict[str, float]:
    """Mix the numbers of two poses or limbs; those named in directions are angles."""
    mixed = {}
    for name in (f.name for f in fields(a) if f.name not in LIMBS):
        step = getattr(b, name) - getattr(a, name)
        if name in directions:
            step = (step + 180.0) % 360.0 - 180.0
        mixed[name] = getattr(a, name) + fraction * step
    return mixed


def jitter_pose(pose: Pose, rng: np.random.Generator, degrees: float = 4.0) -> Pose:
    """Turn every bone by normal noise of this standard deviation."""

    def turn(part: Pose | Limb, directions: tuple[str, ...]) -> dict[str, float]:
        return {name: getattr(part, name) + float(rng.normal(0.0, degrees)) for name in directions}

    limbs = {name: replace(getattr(pose, name), **turn(getattr(pose, name), BONES)) for name in LIMBS}
    return replace(pose, **limbs, **turn(pose, SPINE))


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draw skin, clothes, room, body and camera at random."""

    def pick(*values: float) -> float:
        return values[int(rng.integers(len(values)))]

    spreads = {"thickness": 0.1, "head": 0.06, "arms": 0.02, "legs": 0.02, "torso": 0.03, "breadth": 0.1}
    body = {name: 1.0 + spread * float(np.clip(rng.normal(), -2, 2)) for name, spread in spreads.items()}
    lightness = float(rng.uniform())
    look = Appearance(
        skin=_mix_colours((58, 84, 128), (186, 208, 240), lightness),
        hair=_mix_colours((24, 28, 34), (110, 160, 205), lightness * float(rng.uniform()) ** 2),
        top=_pick_colour(rng, (0, 180), (30, 210), (50, 240)),
        trousers=_pick_colour(rng, (0, 180), (10, 180), (30, 200)),
        mat=_pick_colour(rng, (0, 180), (30, 170), (80, 230)),
        wall=_pick_colour(rng, (0, 180), (0, 70), (120, 250)),
        floor=_pick_colour(rng, (8, 22), (20, 120), (90, 225)),
        sleeve=pick(0.0, 0.0, 0.5, 1.0),
        trouser=pick(0.0, 0.4, 0.85, 1.0),
        bun=pick(0.0, 0.35, 0.45),
        mirror=bool(rng.integers(2)),
        zoom=float(rng.uniform(0.65, 1.25)),
        offset=(float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.12, 0.05))),
        window_x=float(rng.uniform(0.1, 0.9)) if rng.uniform() < 0.4 else None,
    )
    return replace(look, **body)


def _pick_colour(rng: np.random.Generator, hue: Range, saturation: Range, value: Range) -> Bgr:
    """Pick a colour from ranges in OpenCV's HSV (hue 0-179, the others 0-255)."""
    hsv = np.array([[[rng.integers(*hue), rng.integers(*saturation), rng.integers(*value)]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _mix_colours(dark: Bgr, light: Bgr, fraction: float) -> Bgr:
    blue, green, red = (round(d + fraction * (v - d)) for d, v in zip(dark, light, strict=True))
    return blue, green, red


def _shade(colour: Bgr, light: float) -> Bgr:
    return _mix_colours((0, 0, 0), colour, light)


def draw_figure(pose: Pose, size_wh: tuple[int, int], look: Appearance = Appearance()) -> np.ndarray:
    """Draw the person in a plain room.  Returns uint8 (H, W, 3), BGR."""
    shapes = _shape_body(_place_joints(pose, look), pose, look)
    camera = _aim_camera(shapes, size_wh, look)
    frame_bgr = _draw_room(size_wh, camera, look)
    for shape in shapes:
        _fill_shape(frame_bgr, shape, camera)
    return frame_bgr


def draw_room(size_wh: tuple[int, int], look: Appearance = Appearance()) -> np.ndarray:
    """Draw the room without the person.  Returns uint8 (H, W, 3), BGR."""
    pose = POSES["standing"]
    return _draw_room(size_wh, _aim_camera(_shape_body(_place_joints(pose, look), pose, look), size_wh, look), look)


def _direct(degrees: float, length: float = 1.0) -> np.ndarray:
    """Vector of a bone: 0 degrees is up, 90 is right, y grows downwards."""
    return length * np.array([np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])


def _place_joints(pose: Pose, look: Appearance) -> Joints:
    """Chain the bones from the pelvis (0, 0), level what rests on the ground, mirror.  Unit: body heights."""
    waist = _direct(pose.waist, WAIST * look.torso)
    neck = waist + _direct(pose.chest, CHEST * look.torso)
    head = neck + _direct(pose.head, NECK + HEAD * look.head)
    joints = {"pelvis": np.zeros(2), "waist": waist, "neck": neck, "head": head}
    sides = (("near", 1, pose.near_arm, pose.near_leg), ("far", -1, pose.far_arm, pose.far_leg))
    for side, sign, arm, leg in sides:
        breadth = sign * pose.width * look.breadth
        joints[f"{side}_shoulder"] = shoulder = neck + _direct(pose.chest + 90, breadth * SHOULDER_HALF)
        joints[f"{side}_hip"] = hip = _direct(pose.hips + 90, breadth * HIP_HALF)
        joints |= _chain_limb(side, shoulder, arm, ARM, look.arms)
        joints |= _chain_limb(side, hip, leg, LEG, look.legs)
    joints["nose"] = head + _direct(pose.head + 90, pose.gaze * HEAD * look.head)
    turn = np.diag([-1.0 if look.mirror else 1.0, 1.0]) @ _level_body(joints, pose)
    return {name: turn @ xy for name, xy in joints.items()}


def _chain_limb(side: str, root: np.ndarray, limb: Limb, lengths: dict[str, float], size: float) -> Joints:
    bones = ((limb.upper, limb.upper_reach), (limb.lower, limb.lower_reach), (limb.end, limb.end_reach))
    joints, tip = {}, root
    for (name, length), (angle, reach) in zip(lengths.items(), bones, strict=True):
        joints[f"{side}_{name}"] = tip = tip + _direct(angle, reach * length * size)
    return joints


def _level_body(joints: Joints, pose: Pose) -> np.ndarray:
    """Rotation (2, 2) that lays the supports on one height whatever the proportions and the jitter."""
    turn = np.eye(2)
    feet, hand = ("far_toe", "near_toe", pose.feet_level), ("near_toe", "near_hand", pose.hand_level)
    for start, end, share in (feet, hand):
        x, y = turn @ (joints[end] - joints[start])
        # sin * cos of the slope is the slope itself where it is small and 0 where it is steep, as between a
        # standing figure's foot and hand: no jump on the way from standing to kneeling.
        angle = -(share**2) * x * y / (x * x + y * y + 1e-3)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ turn
    return turn


def _shape_body(joints: Joints, pose: Pose, look: Appearance) -> list[Shape]:
    """All shapes of the person in drawing order; the more of a side view, the darker the far side."""
    far_light = 0.78 + 0.22 * pose.width
    far = _shape_arm(joints, "far", look, far_light) + _shape_leg(joints, "far", look, far_light)
    leg = _shape_leg(joints, "near", look, 1.0)
    arm = _shape_arm(joints, "near", look, 0.95 + 0.05 * pose.width)  # set off from the chest behind it
    trunk = _shape_torso(joints, look) + _shape_head(joints, look)
    # Seen from the front both arms hang behind the edge of the chest, else one shoulder looks higher.
    return far + leg + (arm + trunk if pose.width > 0.5 else trunk + arm)


def _hull(look: Appearance, colour: Bgr, *circles: tuple[np.ndarray, float]) -> Shape:
    centres, radii = zip(*circles, strict=True)
    return Shape(np.array(centres), look.thickness * np.array(radii)[:, None], colour)


def _shape_arm(joints: Joints, side: str, look: Appearance, light: float) -> list[Shape]:
    shoulder, elbow, wrist, hand = (joints[f"{side}_{name}"] for name in ("shoulder", *ARM))
    skin, top = _shade(look.skin, light), _shade(look.top, light)
    cuff = shoulder + look.sleeve * (elbow - shoulder)
    return [
        _hull(look, skin, (elbow, 0.021), (wrist, 0.015)),
        _hull(look, skin, (wrist, 0.015), (wrist + 0.5 * (hand - wrist), 0.019), (hand, 0.009)),
        _hull(look, skin, (shoulder, 0.029), (elbow, 0.021)),
        _hull(look, top, (shoulder, 0.03), (cuff, 0.031 - 0.006 * look.sleeve)),
    ]


def _shape_leg(joints: Joints, side: str, look: Appearance, light: float) -> list[Shape]:
    hip, knee, ankle, toe = (joints[f"{side}_{name}"] for name in ("hip", *LEG))
    skin, trousers = _shade(look.skin, light), _shade(look.trousers, light)
    calf, heel = knee + 0.3 * (ankle - knee), ankle + 0.06 * (ankle - knee) - 0.12 * (toe - ankle)
    hem = calf + look.trouser * (ankle - calf)
    return [
        _hull(look, skin, (ankle, 0.02), (heel, 0.019), (toe, 0.012)),
        _hull(look, skin, (knee, 0.036), (calf, 0.036)),
        _hull(look, skin, (calf, 0.036), (ankle, 0.021)),
        _hull(look, trousers, (knee, 0.038), (calf, 0.038)),
        _hull(look, trousers, (calf, 0.038), (hem, 0.038 - 0.014 * look.trouser)),
        _hull(look, trousers, (hip, 0.06), (knee, 0.038)),
    ]


def _shape_torso(joints: Joints, look: Appearance) -> list[Shape]:
    pelvis, waist, neck, head = (joints[name] for name in ("pelvis", "waist", "neck", "head"))
    shoulders = [joints["near_shoulder"], joints["far_shoulder"]]
    hips = [joints["near_hip"], joints["far_hip"]]
    hem = [(hip + 0.35 * (waist - pelvis), 0.056) for hip in hips]
    sides = [(waist + 0.33 * (shoulder - neck), 0.053) for shoulder in shoulders]
    chest = [(neck + 0.35 * (waist - neck) + 0.55 * (shoulder - neck), 0.061) for shoulder in shoulders]
    collar = [(neck + 0.6 * (shoulder - neck), 0.03) for shoulder in shoulders]
    return [
        _hull(look, look.trousers, *((hip, 0.06) for hip in hips), *hem),
        _hull(look, look.top, *hem, *sides),
        _hull(look, look.skin, (neck, 0.026), (head, 0.024)),
        _hull(look, look.skin, *collar, (neck + 0.35 * (head - neck), 0.025)),
        _hull(look, look.top, *sides, *chest, *((shoulder, 0.03) for shoulder in shoulders)),
    ]


def _shape_head(joints: Joints, look: Appearance) -> list[Shape]:
    head, forward = joints["head"], joints["nose"] - joints["head"]
    size = HEAD * look.head / look.thickness  # the head does not grow with the limbs
    up = head - joints["neck"]
    up = up / np.linalg.norm(up) * HEAD * look.head
    turned = min(1.0, float(np.linalg.norm(forward)) / (HEAD * look.head))
    face = [(head + 0.2 * forward - 0.15 * up, 0.82 * size), (head + 0.25 * forward - 0.6 * up, 0.5 * size)]
    return [
        _hull(look, look.hair, (head + (0.9 - 0.4 * turned) * up - 0.9 * forward, look.bun * size)),
        _hull(look, look.hair, (head + 0.08 * up - 0.1 * forward, 1.02 * size)),
        _hull(look, look.skin, *face),
        _hull(look, look.skin, (head + 0.95 * forward - 0.2 * up, 0.12 * turned * size)),
    ]


def _aim_camera(shapes: list[Shape], size_wh: tuple[int, int], look: Appearance) -> Camera:
    """Stand the lowest point on the ground; pull back and move just enough to keep everything inside."""
    low = np.min([(shape.centres - shape.radii).min(axis=0) for shape in shapes], axis=0)
    high = np.max([(shape.centres + shape.radii).max(axis=0) for shape in shapes], axis=0)
    size = np.array(size_wh, float)
    room = size * (1 - 2 * MARGIN) - 2
    scale = min(BODY_SHARE * look.zoom * size.min(), *(room / (high - low)))
    wanted = size * (0.5 + look.offset[0], 0.9 + look.offset[1])
    # The mean of the parts, not of the outermost two: a single lifted hand must not push the body sideways.
    foot = np.array([np.mean([shape.centres[:, 0].mean() for shape in shapes]), high[1]])
    edge = (size - room) / 2
    ground = np.clip(wanted, edge + scale * (foot - low), size - edge - scale * (high - foot))
    return Camera(scale, ground - scale * foot, ground, (low[0] - foot[0], high[0] - foot[0]))


def _fill_shape(frame_bgr: np.ndarray, shape: Shape, camera: Camera) -> None:
    points = (shape.centres[:, None] + shape.radii[:, None] * CIRCLE) * camera.scale + camera.origin
    _fill_points(frame_bgr, cv2.convexHull(points.reshape(-1, 2).astype(np.float32)), shape.colour)


def _fill_points(frame_bgr: np.ndarray, points: np.ndarray, colour: Bgr) -> None:
    """Fill one convex polygon with soft edges.  points: float (N, 2) pixels."""
    cv2.fillConvexPoly(frame_bgr, np.round(points * 2**SHIFT).astype(np.int32), colour, cv2.LINE_AA, SHIFT)


def _draw_room(size_wh: tuple[int, int], camera: Camera, look: Appearance) -> np.ndarray:
    """Wall, window, skirting, floor, mat and shadow.  Returns uint8 (H, W, 3), BGR."""
    width, height = size_wh
    frame_bgr = np.empty((height, width, 3), np.uint8)
    frame_bgr[:] = look.wall
    edge = max(0, round(camera.ground[1] - 0.13 * camera.scale))
    frame_bgr[edge:] = look.floor
    if look.window_x is not None:
        _draw_window(frame_bgr, look.window_x * width, camera, look)
    frame_bgr[max(0, edge - round(0.03 * camera.scale)) : edge] = _shade(look.wall, 0.86)
    mat = np.array([[-0.75, -0.06], [0.75, -0.06], [0.85, 0.045], [-0.85, 0.045]])
    _fill_points(frame_bgr, mat * camera.scale + camera.ground, look.mat)
    left, right = camera.span
    shadow = CIRCLE * (0.06 + 0.43 * (right - left), 0.022) + ((left + right) / 2, -0.005)
    _fill_points(frame_bgr, shadow * camera.scale + camera.ground, _shade(look.mat, 0.88))
    return frame_bgr


def _draw_window(frame_bgr: np.ndarray, x: float, camera: Camera, look: Appearance) -> None:
    middle = np.array([x, camera.ground[1] - 0.85 * camera.scale])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * camera.scale
    _fill_points(frame_bgr, corners * (0.27, 0.35) + middle, _shade(look.wall, 0.8))
    for side in (-0.125, 0.125):
        _fill_points(frame_bgr, corners * (0.11, 0.32) + middle + (side * camera.scale, 0), (244, 232, 208))

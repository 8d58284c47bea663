"""Where the people of a frame are, and their key points::

from yoga_live.runtime.people import PeopleFinder
people = PeopleFinder().find(frame_bgr)          # people.boxes, people.keypoints, people.scores
"""

from .finder import PeopleFinder
from .landmarks import find_landmarks, measure_landmarks
from .people import KEYPOINTS, OPPOSITE_KEYPOINTS, People
from .second_opinion import SecondOpinion

__all__ = [
    "KEYPOINTS",
    "OPPOSITE_KEYPOINTS",
    "People",
    "PeopleFinder",
    "SecondOpinion",
    "find_landmarks",
    "measure_landmarks",
]

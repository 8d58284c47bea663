"""The layouts that data sets come in: folders, tables of labels, boxes, zip files; each read to path, label, split."""

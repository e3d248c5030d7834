"""Labels: what turned out to be true of a scored row, found by its request or by a key of the business."""

# %% begin
from widgets.lessons import decoding as lesson

lesson.speak(LANGUAGE)
tune = lesson.Tune("piano")
tune
# %% steps
lesson.Steps("piano", pitch=68)
# %% bars
lesson.Bars("duet")
# %% observe
before = tune.thresholds.onset_threshold
tune.thresholds.onset_threshold = 0.3
len(tune.roll.notes), before
# %% answer1
f1 = ...
lesson.check(1, f1)
# %% solution 1
precision, recall = 0.9, 0.6
f1 = 2 * precision * recall / (precision + recall)
lesson.check(1, f1)
# %% answer2
falls = ...
lesson.check(2, falls)
# %% solution 2
falls = "recall"
lesson.check(2, falls)
# %% answer3
frames = ...
lesson.check(3, frames)
# %% solution 3
frames = 0.13 * 22050 / 256
lesson.check(3, frames)

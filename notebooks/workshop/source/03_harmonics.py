# %% begin
from widgets.lessons import harmonics as lesson

lesson.speak(LANGUAGE)
lesson.Stack((0, 7, 16))
# %% single
lesson.Stack((0,))
# %% kernel
lesson.KernelHeight()
# %% inside
lesson.Inside()
# %% answer1
semitones = ...
lesson.check(1, semitones)
# %% solution 1
from math import log2

semitones = 12 * log2(4)
lesson.check(1, semitones)
# %% answer2
side = ...
lesson.check(2, side)
# %% solution 2
side = "above"
lesson.check(2, side)
# %% answer3
reach = ...
lesson.check(3, reach)
# %% solution 3
reach = 12
lesson.check(3, reach)

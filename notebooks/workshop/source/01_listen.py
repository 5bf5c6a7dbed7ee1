# %% begin
from widgets.lessons import listen as lesson

lesson.speak(LANGUAGE)
lesson.Look("piano")
# %% ruler
lesson.Ruler()
# %% swap
lesson.PhaseSwap("piano", "duet")
# %% answer1
bins = ...
lesson.check(1, bins)
# %% solution 1
from math import log2

bins = 36 * log2(3)
lesson.check(1, bins)
# %% answer2
window_s = ...
lesson.check(2, window_s)
# %% solution 2
window_s = 1 / 20
lesson.check(2, window_s)
# %% answer3
carrier = ...
lesson.check(3, carrier)
# %% solution 3
carrier = "phase"
lesson.check(3, carrier)

# %% begin
from widgets.lessons import memory as lesson

lesson.speak(LANGUAGE)
lesson.Hopfield()
# %% capacity
lesson.Capacity()
# %% network
lesson.OnNetwork("chorale")
# %% answer1
patterns = ...
lesson.check(1, patterns)
# %% solution 1
patterns = 0.14 * 64
lesson.check(1, patterns)
# %% answer2
kind = ...
lesson.check(2, kind)
# %% solution 2
kind = "softmax"
lesson.check(2, kind)
# %% answer3
amplified = ...
lesson.check(3, amplified)
# %% solution 3
amplified = "frequent"
lesson.check(3, amplified)

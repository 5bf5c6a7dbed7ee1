# %% begin
from widgets.lessons import levels as lesson

lesson.speak(LANGUAGE)
lesson.Level("piano")
# %% norms
lesson.Norms("duet")
# %% dynamics
lesson.Dynamics("duet")
# %% answer1
factor = ...
lesson.check(1, factor)
# %% solution 1
factor = 10**2
lesson.check(1, factor)
# %% answer2
which = ...
lesson.check(2, which)
# %% solution 2
which = "layer"
lesson.check(2, which)
# %% answer3
which = ...
lesson.check(3, which)
# %% solution 3
which = "running"
lesson.check(3, which)

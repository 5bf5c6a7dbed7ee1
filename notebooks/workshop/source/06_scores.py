# %% begin
from widgets.lessons import scores as lesson

lesson.speak(LANGUAGE)
lesson.RandomScore()
# %% overlap
lesson.Overlap()
# %% human
lesson.Human()
# %% map
lesson.TimbreMap()
# %% answer1
semitones = ...
lesson.check(1, semitones)
# %% solution 1
semitones = 12
lesson.check(1, semitones)
# %% answer2
source = ...
lesson.check(2, source)
# %% solution 2
source = "rendering"
lesson.check(2, source)
# %% answer3
neighbour = ...
lesson.check(3, neighbour)
# %% solution 3
neighbour = "violin"
lesson.check(3, neighbour)

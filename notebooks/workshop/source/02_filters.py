# %% begin
from widgets.lessons import filters as lesson

lesson.speak(LANGUAGE)
lesson.Octaves("piano")
# %% aliases
lesson.Aliases()
# %% responses
lesson.Responses()
# %% windows
lesson.Windows()
# %% answer1
highest_hz = ...
lesson.check(1, highest_hz)
# %% solution 1
highest_hz = 22050 / 2**3 / 2
lesson.check(1, highest_hz)
# %% answer2
heard_hz = ...
lesson.check(2, heard_hz)
# %% solution 2
heard_hz = 11025 - 8000
lesson.check(2, heard_hz)
# %% answer3
better = ...
lesson.check(3, better)
# %% solution 3
better = "fir"
lesson.check(3, better)

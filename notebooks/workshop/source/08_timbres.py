# %% begin
from widgets.lessons import timbres as lesson

lesson.speak(LANGUAGE)
lesson.Embeddings("chorale")
# %% pull
lesson.Pull()
# %% many
lesson.HowMany()
# %% teach
lesson.Teach("chorale")
# %% tracks
lesson.Tracks("chorale")
# %% answer1
degrees = ...
lesson.check(1, degrees)
# %% solution 1
degrees = 90
lesson.check(1, degrees)
# %% answer2
level = ...
lesson.check(2, level)
# %% solution 2
level = "note"
lesson.check(2, level)
# %% answer3
timbres = ...
lesson.check(3, timbres)
# %% solution 3
timbres = lesson.estimate_timbres(lesson.heard("chorale")[0]).timbres
lesson.check(3, timbres)

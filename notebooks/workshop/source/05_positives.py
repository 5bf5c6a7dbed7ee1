# %% begin
from widgets.lessons import positives as lesson

lesson.speak(LANGUAGE)
lesson.Focal("piano")
# %% make
training = lesson.Train()
training
# %% go
training.train()
# %% published
lesson.Published()
# %% answer1
alpha = ...
lesson.check(1, alpha)
# %% solution 1
share = 0.05
alpha = 1 - share
lesson.check(1, alpha)
# %% answer2
tails = ...
lesson.check(2, tails)
# %% solution 2
tails = "longer"
lesson.check(2, tails)
# %% answer3
alpha = ...
lesson.check(3, alpha)
# %% solution 3
from amtsep.config import Training

alpha = Training.onset_alpha
lesson.check(3, alpha)

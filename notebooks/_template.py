# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Title of the chapter
#
# **The claim.** What the paper says it found, in one or two sentences, with its citation {cite}`islam2020radiogenomic`,
# and the number that the chapter tests.
#
# **What this chapter does.** From which cohort, with which method, under which protocols.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status _template
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_points: int = 200  # points of the demonstration below

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.core.seeds import rng

report = Report.start("_template", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Where the rows come from, how many there are, what is missing.

# %%
x = rng(seed, "template").normal(size=n_points)
report.value("mean", x.mean(), low=x.mean() - 1.96 / n_points**0.5, high=x.mean() + 1.96 / n_points**0.5, n=n_points)
report.table("moments", pd.DataFrame({"moment": ["mean", "variance"], "value": [x.mean(), x.var()]}), index=False,
             caption="The first two moments of the demonstration.")  # fmt: skip

# %% [markdown]
# ## Method
#
# The equations, numbered as in the paper where the paper numbers them:
#
# $$ \bar x = \frac{1}{n} \sum_{i=1}^{n} x_i . $$

# %% [markdown]
# ## Results

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6, 3))
axes.hist(x, bins=np.linspace(-4, 4, 33))
axes.set(xlabel="value", ylabel="count")
report.figure("histogram", figure, caption="Histogram of the draws.", alt="A bell-shaped histogram around zero.")

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
answer = f"The mean is {report.text('mean')}: see {{numref}}`fig--template-histogram`."
report.sentence(answer)

# %% [markdown]
# ## Agreement with the paper
#
# Published and reproduced, protocol by protocol, with what a reader must know to compare them.
#
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | what the paper does not say | the value, and the parameter that sets it | the reason |
#
# ## Limits
#
# What the result cannot show.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(answer)

# %% tags=["remove-input"]
report.finish()

"""Chest X-ray reports in which every sentence cites the prior cases it rests on.

    from grounded_cxr import Retriever, load_generator

    retriever = Retriever.open("data/index")
    print(load_generator().report(retriever.search("pa.png")))

Research use only, not for clinical use. Importing the package is cheap: torch and the other large
libraries are loaded when they are first needed.
"""

__version__ = "0.2.0"

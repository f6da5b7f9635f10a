"""The browser in which a page is opened: one that is on the PATH, as no Python package is one.

Where there is none, what needs it is not among the tests, and the run says so in its end; `.ci/run`
fetches one where it may.
"""

import shutil

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WITHOUT = f"No page was opened in a browser: none is on the PATH ({', '.join(NAMES)})."

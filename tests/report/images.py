# SPDX-License-Identifier: Apache-2.0
"""images.py REPORT.html DIRECTORY: the pictures of the documents, report.png and report-dark.png. pngquant makes
them small."""
import os
import sys
import time

from browser import Browser

page, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
browser = Browser(1180, 1000)
try:
    for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
        browser.scheme(scheme)
        browser.open(page)
        browser.press("#calls-view", *["ARROW_DOWN"] * 4)
        browser.script("document.activeElement.blur()")
        if scheme == "dark":
            browser.script("document.querySelector('#waterfall').scrollIntoView()")
        else:
            browser.script("scrollTo(0, 0)")
        time.sleep(1)  # frames grow to their width
        browser.driver.save_screenshot(os.path.join(folder, name))
finally:
    browser.close()

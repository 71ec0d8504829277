# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium on a report, from a file and without a network."""
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


class Browser:
    def __init__(self, width=1280, height=1000):
        options = Options()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--hide-scrollbars", f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = "/usr/bin/chromium"
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0})

    def scheme(self, name):
        # Without motion what is drawn is there at once.
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": name},
            {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def open(self, path):
        self.driver.get(f"file://{path}")
        self.until("return document.body.dataset.ready === 'yes'")

    def until(self, script, *arguments):
        """Waits, for as long as a slow machine may need, until the script gives something true."""
        for _ in range(600):
            found = self.driver.execute_script(script, *arguments)
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}")

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def type(self, selector, text):
        box = self.find(selector)
        box.clear()
        box.send_keys(text or " " + Keys.BACKSPACE)

    def press(self, selector, *keys):
        box = self.find(selector)
        self.script("arguments[0].focus()", box)
        for key in keys:
            box.send_keys(getattr(Keys, key))

    def hover(self, selector, x, y):
        """The pointer to so many pixels from the element's corner."""
        box = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", box)
        ActionChains(self.driver).move_to_element_with_offset(
            box, x - box.size["width"] // 2, y - box.size["height"] // 2).perform()

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def close(self):
        self.driver.quit()

"""Backends that crash and hang."""

import os
import time


def aborts(model):
    os.write(2, b"the last words\n")
    os.abort()


def hangs(model):
    time.sleep(1000)

"""A release's SQL migrations as values: files read, split and classified; nothing is run here.

``folder.load`` reads them, ``records`` says what they are made of, ``hazards.lint`` judges them.
"""

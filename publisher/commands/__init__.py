"""The commands, one module for each group of them.

base       what every command has in common: options, languages, exit codes, opening the service
out        what is printed, and how: tables and sentences for people, JSON for machines
failures   every error as one message with a remedy and an exit code
words      states, outcomes and reasons in plain words, with what to do about them
"""

"""Items in: what editors submit becomes content, or one clear answer saying what is wrong with it."""

from publisher.intake.content_types import ContentType, content_types, find_content_type
from publisher.intake.files import DirectoryFiles, FileSource, MappingFiles
from publisher.intake.model import Defaults, Limits, LineMap, Note, SourceFormat, Submission
from publisher.intake.problems import IntakeError, Problem
from publisher.intake.reading import read_submission

__all__ = [
    "ContentType",
    "Defaults",
    "DirectoryFiles",
    "FileSource",
    "IntakeError",
    "Limits",
    "LineMap",
    "MappingFiles",
    "Note",
    "Problem",
    "SourceFormat",
    "Submission",
    "content_types",
    "find_content_type",
    "read_submission",
]

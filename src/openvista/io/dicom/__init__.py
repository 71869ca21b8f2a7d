"""DICOM in and out (extra ``dicom``). These files import pydicom at their top: load them when they are needed.

Patient space in DICOM is LPS+; ours is RAS+. Headers identify patients: no name, id or date goes into a message or log.
"""

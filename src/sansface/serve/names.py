"""What objects of the store are called: by their kind, then by the id of what they belong to."""

BUNDLES, RESULTS, CHECKPOINTS = "bundles", "results", "checkpoints"
"""Folders of the store."""


def of_bundle(bundle_id: str) -> str:
    """The bundle itself."""
    return f"{BUNDLES}/{bundle_id}"


def of_result(job_id: str, attempt: str) -> str:
    """Above the files of one attempt at a job."""
    return f"{of_results(job_id)}/{attempt}"


def of_results(job_id: str) -> str:
    """Above all files of a job, whatever attempt they are of."""
    return f"{RESULTS}/{job_id}"


def of_checkpoints(job_id: str) -> str:
    """Above what a job can be gone on from."""
    return f"{CHECKPOINTS}/{job_id}"

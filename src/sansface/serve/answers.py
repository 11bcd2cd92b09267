"""What the API answers with: each kind of object as JSON, made from its row."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sansface.serve.tables import Bundle, Job, ResultFile, State, Token
from sansface.serve.tokens import Scope

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="32 hexadecimal digits.")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal.")]
PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""Pattern of text that reaches the database: without control characters, as PostgreSQL takes no NUL."""
WHOLE = BeforeValidator(lambda value: int(value) if _is_whole(value) else value)
"""For whole numbers of a request: JSON makes no difference between 5 and 5.0."""
Time = Annotated[float, Field(description="Seconds since 1970.")]


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


MOST = 1000
"""Of a list: the newest."""


class Asked(BaseModel):
    """A body of a request: unknown keys are refused, and nothing is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TokenAnswer(BaseModel):
    """A token, without its secret."""

    id: Id
    scopes: list[Scope]
    created: Time
    expires: Time


class NewTokenAnswer(TokenAnswer):
    """A token, with the secret that is shown this once."""

    token: str


class AccountAnswer(BaseModel):
    """An account, what it uses and how long things are kept."""

    id: Id
    name: str
    bytes: int
    max_bytes: int
    jobs_today: int
    max_jobs: int
    retention_days: float
    backup_days: float


class About(BaseModel):
    """What may be shown of a bundle without opening it."""

    frames: int
    sensitive: int
    neutral: int
    resolution: int
    operator: str
    bits: int
    share: str
    masks: bool


class BundleAnswer(BaseModel):
    """A bundle that was let in."""

    id: Id
    digest: Digest
    size: int
    created: Time
    expires: Time
    about: About


class BegunAnswer(BaseModel):
    """An upload that may begin; or, with `bundle`, one that need not, for the account has the very bundle."""

    id: Id | None
    offset: int
    bundle: Id | None


class SentAnswer(BaseModel):
    """How far an upload is; the last bytes' answer has the bundle."""

    offset: int
    bundle: BundleAnswer | None


class UploadAnswer(BaseModel):
    """How far an upload is."""

    offset: int
    size: int


class Elsewhere(BaseModel):
    """The bytes do not belong where they were sent to."""

    detail: str
    offset: int = Field(description="Where the upload goes on.")


class Progress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(extra="ignore")

    done: float = Field(ge=0, le=1)
    note: str = ""
    seconds_left: float | None = None


class FileAnswer(BaseModel):
    """A file of a result."""

    name: str
    size: int
    sha256: Digest


class JobAnswer(BaseModel):
    """A reconstruction."""

    id: Id
    bundle: Id
    preset: str
    seed: int
    state: State
    position: int | None = Field(description="In the queue; 0 is next. Null if it does not wait.")
    progress: Progress | None
    sentence: str | None = Field(description="Why the last attempt failed.")
    attempts: int
    created: Time
    started: Time | None
    finished: Time | None
    expires: Time
    files: list[FileAnswer]


class HealthAnswer(BaseModel):
    """Does everything beneath work?"""

    status: str = Field(examples=["ok", "trouble"])
    database: str = Field(examples=["ok", "down"])
    store: str = Field(examples=["ok", "down"])
    queue: dict[str, int] | None = Field(description="How many jobs are in each state.")


def of_token(token: Token) -> TokenAnswer:
    return TokenAnswer(
        id=token.id,
        scopes=[Scope(word) for word in token.scopes.split()],
        created=token.created,
        expires=token.expires,
    )


def of_bundle(bundle: Bundle) -> BundleAnswer:
    return BundleAnswer(
        id=bundle.id,
        digest=bundle.digest,
        size=bundle.size,
        created=bundle.created,
        expires=bundle.expires,
        about=About(**bundle.about),
    )


def of_jobs(session: Session, jobs: Iterable[Job]) -> list[JobAnswer]:
    """Jobs with their files and their places in the queue, by two queries however many they are."""
    jobs = list(jobs)
    files = _files(session, {job.id for job in jobs if job.state == State.DONE})
    places = _places(session, {job.id for job in jobs if job.state == State.QUEUED})
    return [_of_job(job, files.get(job.id, []), places.get(job.id)) for job in jobs]


def of_job(session: Session, job: Job) -> JobAnswer:
    return of_jobs(session, [job])[0]


def watched(session: Session, ids: set[str]) -> Mapping[str, dict[str, Any]]:
    """Those of some jobs that there are, by id, as JSON."""
    jobs = session.scalars(select(Job).where(Job.id.in_(ids)))
    return {answer.id: answer.model_dump(mode="json") for answer in of_jobs(session, jobs)}


def _of_job(job: Job, files: list[FileAnswer], place: int | None) -> JobAnswer:
    return JobAnswer(
        id=job.id,
        bundle=job.bundle_id,
        preset=job.settings["preset"],
        seed=job.settings["seed"],
        state=State(job.state),
        position=place,
        progress=None if job.progress is None else Progress(**job.progress),
        sentence=job.sentence,
        attempts=job.attempts,
        created=job.created,
        started=job.started,
        finished=job.finished,
        expires=job.expires,
        files=files,
    )


def _files(session: Session, ids: set[str]) -> dict[str, list[FileAnswer]]:
    found: dict[str, list[FileAnswer]] = {}
    if ids:
        rows = select(ResultFile).where(ResultFile.job_id.in_(ids)).order_by(ResultFile.name)
        for file in session.scalars(rows):
            answer = FileAnswer(name=file.name, size=file.size, sha256=file.sha256)
            found.setdefault(file.job_id, []).append(answer)
    return found


def _places(session: Session, ids: set[str]) -> dict[str, int]:
    """How many jobs are taken before each of these, in the queue's own order."""
    if not ids:
        return {}
    place = func.row_number().over(order_by=(Job.created, Job.id)).label("place")
    queue = select(Job.id, place).where(Job.state == State.QUEUED).subquery()
    rows = session.execute(select(queue.c.id, queue.c.place).where(queue.c.id.in_(ids)))
    return {row.id: row.place - 1 for row in rows}

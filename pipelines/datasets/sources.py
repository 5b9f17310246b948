"""Where a data set comes from: each kind of source that a catalogue may name, with the keys that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tune_spaces.strict_yaml import StrictModel

Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]
FileName = Annotated[str, Field(pattern=r"^[^/\\]*[^/\\.][^/\\]*$")]
Folder = Annotated[str, Field(pattern=r"^$|^[\w-][\w .-]*(/[\w-][\w .-]*)*$")]
"""A folder inside the data set's; the empty name is that folder itself."""
Url = Annotated[str, Field(pattern=r"^https?://")]


class Generated(StrictModel):
    """Images that this project simulates: ultrasound (`phantom`) or volumes (`phantom3d`)."""

    kind: Literal["generated"]
    simulator: Literal["phantom", "phantom3d"] = "phantom"
    count: int = Field(ge=1)
    seed: int = Field(ge=0)


class Download(StrictModel):
    """A file that ends up in the downloads folder, whoever brings it there.

    Attributes:
        file: Its name there.
        checksum: As far as known; without one, the file is taken as it comes first and verified ever after.
        bytes: Its size, if known.
        into: Folder of the data set to unpack it into, where several archives would get in each other's way.
    """

    file: FileName
    checksum: Checksum | None = None
    bytes: int | None = Field(default=None, ge=1)
    into: Folder = ""

    named_by: ClassVar[str] = ""
    """Key whose last part names the file, unless `file` does."""

    @model_validator(mode="before")
    @classmethod
    def _name_the_file(cls, values: Any) -> Any:
        if isinstance(values, dict) and "file" not in values and isinstance(values.get(cls.named_by), str):
            name = values[cls.named_by].split("?")[0].rsplit("/", 1)[-1]
            return {**values, "file": name if "." in name else f"{name}.zip"}
        return values

    @property
    def address(self) -> str:
        """Where a person finds it."""
        raise AttributeError(f"{type(self).__name__} must say where a person finds the file.")


class Archive(Download):
    """A zip or tar archive at a direct address."""

    kind: Literal["archive"]
    url: Url
    named_by: ClassVar[str] = "url"

    @property
    def address(self) -> str:
        return self.url


class Zenodo(Download):
    """A file of a record on Zenodo, which tells its address, size and checksum."""

    kind: Literal["zenodo"]
    record: int = Field(ge=1)

    @property
    def address(self) -> str:
        return f"https://zenodo.org/records/{self.record}"


class Kaggle(Download):
    """A data set on Kaggle, `owner/name`, as the zip file that its client downloads with the person's own token."""

    kind: Literal["kaggle"]
    dataset: str = Field(pattern=r"^[\w-]+/[\w-]+$")
    named_by: ClassVar[str] = "dataset"

    @property
    def address(self) -> str:
        return f"https://www.kaggle.com/datasets/{self.dataset}"


class Manual(Download):
    """What only a person can get, after registration or a form: a zip file, or a folder unpacked by hand.

    Attributes:
        page: Where.
        how: What to do there and afterwards, one or two sentences.
    """

    kind: Literal["manual"]
    page: Url
    how: str = Field(min_length=1)

    @property
    def address(self) -> str:
        return self.page


class Local(StrictModel):
    """A folder, or a zip or tar archive, of the person's own; a relative path starts at the catalogue that names it."""

    kind: Literal["local"]
    path: Annotated[Path, Field(strict=False)]
    into: Folder = ""


Source = Annotated[Generated | Archive | Zenodo | Kaggle | Manual | Local, Field(discriminator="kind")]

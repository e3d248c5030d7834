"""The text of the Dockerfile that serves one model.

The names of files in it are those that ``context`` writes. The Dockerfile of this repository, which has every room and
the demo, follows the same rules: a build stage, no files but the environment's, a number for the user.
"""

from collections.abc import Sequence

WRITTEN_BY = "# Written by `driftline build-image`"
MODEL, REQUIREMENTS = "model", "requirements"  # folders of the context
MOUNTED = "/context"  # where the requirements lie while they are installed
_TEXT = """\
{written_by}: serves {served} on port 8080, as SageMaker asks a container to.
ARG PYTHON_IMAGE={base_image}

FROM ${{PYTHON_IMAGE}} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONHASHSEED=0
RUN python -m venv /opt/driftline
WORKDIR {mounted}
COPY {requirements} .
# One resolution: what the model pins stays, driftline asks for ranges. Where the two contradict each other, this fails.
RUN /opt/driftline/bin/pip install --no-compile \\
    --requirement requirements.txt --requirement driftline.txt --constraint pins.txt \\
    && /opt/driftline/bin/pip freeze --exclude driftline > /opt/driftline/pins.txt
# The tests of these packages are a tenth of the image. Compiled without times in it and the venv's own pip too (-f), so
# that two builds are alike; some packages bring files that are for another Python.
RUN cd /opt/driftline/lib/python*/site-packages \\
    && for package in {tested}; do \\
        test ! -d $package || find $package -type d -name tests -prune -exec rm -r {{}} +; done \\
    && {{ /opt/driftline/bin/python -m compileall -q -f --invalidation-mode unchecked-hash . >/dev/null || true; }}

FROM ${{PYTHON_IMAGE}}
{system_packages}# The variable: useradd writes down the day.
RUN SOURCE_DATE_EPOCH=0 useradd --uid 10001 --user-group --no-create-home --home-dir /tmp driftline \\
    && install -d -o 10001 -g 10001 /var/lib/driftline
COPY --from=build /opt/driftline /opt/driftline
COPY {model} /opt/ml/model
ENV PATH=/opt/driftline/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 DRIFTLINE_HOME=/var/lib/driftline \\
    MLFLOW_DISABLE_ENV_CREATION=true
WORKDIR /var/lib/driftline
USER 10001:10001
# 8080 scoring, 9107 metrics
EXPOSE 8080 9107
ENTRYPOINT ["driftline"]
CMD ["serve"]
"""
# Whose folders named tests hold nothing but tests; evidently's, for one, is part of what it does.
_TESTED = "matplotlib numpy pandas pyarrow scipy sklearn statsmodels"
_SYSTEM_PACKAGES = """\
RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*
"""


def dockerfile(served: str, base_image: str, system_packages: Sequence[str] = ()) -> str:
    """Return the Dockerfile.

    Args:
        served: the model's name and version, for the reader.
        base_image: an image with ``python`` and ``useradd``.
        system_packages: Debian packages that the model's framework needs at run time.
    """
    return _TEXT.format(
        written_by=WRITTEN_BY,
        served=" ".join(served.split()),
        base_image=base_image,
        mounted=MOUNTED,
        requirements=REQUIREMENTS,
        model=MODEL,
        tested=_TESTED,
        system_packages=_SYSTEM_PACKAGES.format(packages=" ".join(system_packages)) if system_packages else "",
    )

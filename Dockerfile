# One image for scorer, monitor and the one-shot commands: `docker build -t driftline .`
#
# The scorer lives in the model's environment. `driftline build-image` makes an image of exactly that. This one has
# scikit-learn; for a model that needs more:
#   docker build --build-arg MODEL_REQUIREMENTS="xgboost==3.0.2 lightgbm" -t driftline .
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONHASHSEED=0
RUN python -m venv /opt/driftline
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY alerts alerts
COPY cli cli
COPY dashboards dashboards
COPY migrations migrations
COPY monitor monitor
COPY scorer scorer
COPY store store
ARG EXTRAS=monitor,postgresql,demo
# The variable holds for what builds driftline, which is named in the image, too: pip would take the newest.
RUN echo setuptools==84.2.1 >build.txt \
    && PIP_CONSTRAINT=/source/build.txt /opt/driftline/bin/pip install --no-compile --constraint constraints.txt ".[${EXTRAS}]"
# Beside the pins, which are driftline's alone: what a model pins may replace them.
ARG MODEL_REQUIREMENTS=""
RUN test -z "${MODEL_REQUIREMENTS}" || /opt/driftline/bin/pip install --no-compile ${MODEL_REQUIREMENTS}
# The tests of these packages are a tenth of the image. Compiled without times in it and the venv's own pip too (-f), so
# that two builds are alike; some packages bring files that are for another Python.
RUN cd /opt/driftline/lib/python*/site-packages \
    && for package in matplotlib numpy pandas pyarrow scipy sklearn statsmodels; do \
        test ! -d $package || find $package -type d -name tests -prune -exec rm -r {} +; done \
    && { /opt/driftline/bin/python -m compileall -q -f --invalidation-mode unchecked-hash . >/dev/null || true; }

FROM ${PYTHON_IMAGE}
# A number for USER, so that Kubernetes can see that it is not root; the folders, so that new volumes belong to it. The
# variable: useradd writes down the day.
RUN SOURCE_DATE_EPOCH=0 useradd --uid 10001 --user-group --no-create-home --home-dir /tmp driftline \
    && install -d -o 10001 -g 10001 /var/lib/driftline /var/lib/mlflow
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 DRIFTLINE_HOME=/var/lib/driftline
WORKDIR /var/lib/driftline
USER 10001:10001
# 5000 scoring, 9107 the scorer's metrics, 9108 the monitor
EXPOSE 5000 9107 9108
ENTRYPOINT ["driftline"]
CMD ["--help"]

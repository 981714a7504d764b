# The service without a database: REGESTA_STORE says where MongoDB is.
#   docker build -t regesta .
#   docker run -p 8000:8000 -e REGESTA_STORE='mongodb://...' regesta

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY plugins plugins
# All that a server needs: not `local` and `memory`, which are stores in place of MongoDB. What fsspec needs for an
# object store (`s3fs`, `gcsfs`) is named here too where artifacts are kept in one.
# The environment is filled from outside, so pip does not enter the final image with it.
RUN python -m venv --without-pip /opt/regesta \
    && pip wheel --no-deps --wheel-dir /wheels . \
    && pip --python /opt/regesta/bin/python install --compile "$(ls /wheels/regesta-*.whl)[service,models,artifacts]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Regesta" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/regesta /opt/regesta
ENV PATH="/opt/regesta/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Numeric, so that Kubernetes can check `runAsNonRoot` without reading /etc/passwd.
RUN groupadd --gid 10001 regesta \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin regesta
WORKDIR /home/regesta
USER 10001:10001
EXPOSE 8000
# http.client, not urllib: it takes no notice of a proxy in the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('REGESTA_PORT', 8000)), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["regesta"]
CMD ["serve", "--host", "0.0.0.0"]

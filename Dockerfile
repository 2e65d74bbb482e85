# exotel-exporter in an image: the binary, certificates to check Exotel's with, and nothing else. No shell, no root.
#
#     docker build -t exotel-exporter .
#     docker run -p 127.0.0.1:10043:10043 exotel-exporter demo --web.listen-address=:10043

FROM rust:1.90-bookworm AS build
WORKDIR /source
# Who builds from a checkout names the commit: --build-arg REVISION=$(git rev-parse --short HEAD)
ARG REVISION=unknown
ENV EXOTEL_EXPORTER_REVISION=$REVISION
COPY Cargo.toml Cargo.lock ./
COPY benches/Cargo.toml benches/
COPY benches/src benches/src
COPY src src
RUN cargo build --release --locked --package exotel-exporter --bin exotel-exporter \
    && mkdir -p /image/var/lib/exotel-exporter /image/usr/local/bin /image/tmp \
    && cp target/release/exotel-exporter /image/usr/local/bin/

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="exotel-exporter" \
      org.opencontainers.image.description="Watches Exotel accounts: every call counted once, for Prometheus" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build --chown=65532:65532 /image/ /
USER 65532:65532
# The store, with every call and counter: keep it on a volume.
VOLUME /var/lib/exotel-exporter
WORKDIR /var/lib/exotel-exporter
EXPOSE 10043
ENTRYPOINT ["/usr/local/bin/exotel-exporter", "--store.path=/var/lib/exotel-exporter/exotel-exporter.redb"]
CMD ["run", "--web.listen-address=:10043"]

# The service in an image: the binary and certificates of authorities, no shell, a user of its own. docs/operating.md has how to run it.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin staygraph && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/staygraph /usr/local/bin/staygraph
COPY --from=build /build/model.graphql /etc/staygraph/model.graphql
# A volume takes the owner of the folder that it is mounted over.
COPY --from=build --chown=nonroot:nonroot /data /data
USER nonroot
VOLUME /data
ENV STAYGRAPH_DATA=/data STAYGRAPH_MODEL=/etc/staygraph/model.graphql STAYGRAPH_LISTEN=0.0.0.0:8080 STAYGRAPH_LOG_FORMAT=json
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/staygraph"]
CMD ["serve"]

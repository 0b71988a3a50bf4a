# One image per service: docker build --build-arg SERVICE=platform -t maap-platform .
# SERVICE is a folder of apps/; platform (default) is all services in one process.
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
ARG SERVICE=platform
WORKDIR /src
COPY . .
RUN dotnet publish "apps/$SERVICE" --configuration Release --output /app --nologo \
 && cd /app \
 # A service's folder holds one deps.json: the assembly to start.
 && printf '#!/bin/sh\nexec dotnet /app/%s.dll "$@"\n' "$(basename "$(ls *.deps.json)" .deps.json)" > /app/start \
 && chmod +x /app/start \
 && mkdir /data

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=build /app /app
COPY --from=build --chown=$APP_UID:$APP_UID /data /data
WORKDIR /app
USER $APP_UID
ENV MAAP_DATA_DIR=/data \
    ASPNETCORE_URLS=http://+:8080 \
    DOTNET_EnableDiagnostics_IPC=0
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/start"]

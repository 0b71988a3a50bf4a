using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Keys;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Redis;
using MultiAgent.Hosting.Services;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Hosting;

/// <summary>Builds and runs a process that hosts one or more modules. The host owns ports and process-wide settings.</summary>
public static class PlatformHost
{
    /// <summary>
    /// Runs until the process is asked to stop. Returns the exit code: 0 after an orderly stop, 1 when the start failed,
    /// in which case one clear line has been written to standard error.
    /// </summary>
    public static async Task<int> RunAsync(string name, string[] args, params IServiceModule[] modules)
    {
        try
        {
            await using WebApplication app = Build(name, args, modules);
            await StartAsync(app);
            await app.WaitForShutdownAsync();
            return 0;
        }
        catch (Exception e) when (StartFailure.Explain(e) is { } line)
        {
            await Console.Error.WriteLineAsync($"maap: {line}");
            return 1;
        }
    }

    /// <summary>Builds the application without starting it; <paramref name="configure"/> lets tests put their own in.</summary>
    public static WebApplication Build(string name, string[] args, IReadOnlyList<IServiceModule> modules, Action<WebApplicationBuilder>? configure = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder([.. args, "--hostBuilder:reloadConfigOnChange=false"]);
        ReloadByPolling(builder);
        builder.WebHost.UseKestrelHttpsConfiguration();
        configure?.Invoke(builder);
        ServiceTopology topology = builder.AddTopology(name, modules);
        if (string.IsNullOrEmpty(builder.Configuration["urls"]) && !builder.Configuration.GetSection("Kestrel:Endpoints").Exists() && string.IsNullOrEmpty(builder.Configuration["http_ports"]))
            builder.WebHost.UseUrls(topology.DefaultUrl);
        AddHost(builder, name);
        foreach (IServiceModule module in modules) module.AddServices(builder);
        builder.AddServiceClients(topology);

        IHostApplicationLifetime? lifetime = null;
        // A failed start is told in one line by RunAsync. A background service that ends a running process is told here, or nobody would know why it went.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", level => level >= LogLevel.Critical && lifetime is { ApplicationStarted.IsCancellationRequested: true, ApplicationStopping.IsCancellationRequested: false });

        WebApplication app = builder.Build();
        lifetime = app.Lifetime;
        app.UseMiddleware<EdgeMiddleware>();
        app.UseRouting();
        app.UseRequestTimeouts();
        app.UseMiddleware<BodyTimeLimit>();
        app.UseMiddleware<CallerMiddleware>();
        app.UseMiddleware<IdempotencyMiddleware>();
        foreach (IServiceModule module in modules)
            module.MapEndpoints(app.MapGroup("").WithMetadata(new ServiceName(module.Name)));
        app.MapInternalEndpoints(topology);
        app.MapHealth(modules, name);
        app.MapApiReference(name);
        return app;
    }

    /// <summary>Migrates the databases, runs the start-up tasks, then listens.</summary>
    public static async Task StartAsync(WebApplication app, CancellationToken cancellationToken = default)
    {
        CheckUrls(app.Configuration["urls"]);
        DataOptions data = app.Services.GetRequiredService<IOptions<DataOptions>>().Value;
        app.Services.GetRequiredService<DataDirectory>().Prepare(data);
        await app.Services.GetRequiredService<Databases>().PrepareAsync(app.Environment.IsDevelopment(), cancellationToken);
        foreach (IStartupTask task in app.Services.GetServices<IStartupTask>())
            await task.RunAsync(cancellationToken);
        EndpointRules.Check(app);
        await app.StartAsync(cancellationToken);
        foreach (IStartedMessage message in app.Services.GetServices<IStartedMessage>())
            message.Write(app.Urls.FirstOrDefault() ?? app.Services.GetRequiredService<ServiceTopology>().DefaultUrl, Console.Out);
    }

    // The default watcher hears of every write below the content root, and there the data folder lies: two per cent of a busy server's time.
    private static void ReloadByPolling(WebApplicationBuilder builder)
    {
        var files = new PhysicalFileProvider(builder.Environment.ContentRootPath) { UsePollingFileWatcher = true, UseActivePolling = true };
        IList<IConfigurationSource> sources = builder.Configuration.Sources;
        for (int i = 0; i < sources.Count; i++)
        {
            if (sources[i] is not JsonConfigurationSource json) continue;
            sources[i] = new JsonConfigurationSource { FileProvider = files, Path = json.Path!, Optional = json.Optional, ReloadOnChange = true };
        }
    }

    // To the server a host that it cannot read means every address of the machine: a slip of the pen must not open the door.
    private static void CheckUrls(string? urls)
    {
        foreach (string url in (urls ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string readable = url.Replace("://*", "://localhost", StringComparison.Ordinal).Replace("://+", "://localhost", StringComparison.Ordinal);
            if (!Uri.TryCreate(readable, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https"))
                throw new StartupException($"'{url}' is not an address to listen on. Use --urls http://localhost:8080 or the like.");
        }
    }

    private static void AddHost(WebApplicationBuilder builder, string name)
    {
        IServiceCollection services = builder.Services;
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.Logging.AddFilter("System", LogLevel.Warning);
        // That the key ring lies unencrypted in the data folder is by design: the folder's permissions guard it.
        builder.Logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);
        // A client that is too slow is told so; it must not fill the log with stack traces.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Http.Timeouts", LogLevel.Error);
        // Without this logger Kestrel makes no activity per request that nobody reads.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);

        // That a service went or came back is one line, and what failed meanwhile shows in the answers.
        builder.Logging.AddFilter("Yarp", LogLevel.Error);
        builder.Logging.AddFilter("Yarp.ReverseProxy.Health.DestinationHealthUpdater", LogLevel.Information);
        builder.Logging.AddFilter("Yarp.ReverseProxy.Health.ActiveHealthCheckMonitor", LogLevel.None);

        // One line when the connection is lost and one when it is back, not one for each attempt.
        builder.Logging.AddFilter("NATS.Client", LogLevel.Error);

        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<LimitsOptions>().BindConfiguration("Limits").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<LimitsOptions>, LimitsValidator>());
        builder.AddSharedState();
        services.AddServiceDatabase("host");
        services.AddStore<IIdempotencyStore, SqliteIdempotencyStore, PostgresIdempotencyStore>();
        services.AddHostedService<IdempotencyCleanup>();
        services.AddRequestTimeouts();
        services.AddSingleton<IConfigureOptions<RequestTimeoutOptions>, DefaultTimeout>();
        services.AddSingleton<IProblemDetailsWriter, ProblemWriter>();
        services.AddProblemDetails();
        services.AddDataProtection().SetApplicationName("maap");
        services.AddSingleton<IConfigureOptions<Microsoft.AspNetCore.DataProtection.KeyManagement.KeyManagementOptions>, KeyRing>();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddOptions<HostOptions>().Configure<IOptions<LimitsOptions>>((options, limits) => options.ShutdownTimeout = TimeSpan.FromSeconds(30 + limits.Value.DrainDelaySeconds));
        services.AddHostedService<DrainDelay>();
        services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
            options.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
            options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
            options.SerializerOptions.MaxDepth = builder.Configuration.GetValue("Limits:MaxJsonDepth", 64);
        });
        // An idle connection holds a block of 4 KB so that a request costs one system call less.
        builder.WebHost.UseSockets(sockets => sockets.WaitForDataBeforeAllocatingBuffer = false);
        builder.WebHost.ConfigureKestrel((_, kestrel) =>
        {
            LimitsOptions limits = kestrel.ApplicationServices.GetRequiredService<IOptions<LimitsOptions>>().Value;
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = limits.MaxBodyBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = limits.MaxHeaderBytes;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(limits.HeaderTimeoutSeconds);
        });
        builder.AddPlatformTelemetry(name);
        services.AddApiReference();
        services.TryAddSingleton<DataDirectory>();
    }

    private sealed class DefaultTimeout(IOptions<LimitsOptions> limits) : IConfigureOptions<RequestTimeoutOptions>
    {
        public void Configure(RequestTimeoutOptions options) =>
            options.DefaultPolicy = new RequestTimeoutPolicy { Timeout = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds), TimeoutStatusCode = StatusCodes.Status504GatewayTimeout };
    }
}

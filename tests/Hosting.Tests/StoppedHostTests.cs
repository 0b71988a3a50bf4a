using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests;

public sealed class StoppedHostTests
{
    [Fact]
    public async Task BackgroundService_ThatFails_StopsTheProcessAndSaysWhy()
    {
        using var folder = new TempFolder();
        var lines = new Lines();
        await using WebApplication app = PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [new Faulty()], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Data:Directory"] = folder.Path });
            builder.Logging.ClearProviders().AddProvider(lines);
        });
        await PlatformHost.StartAsync(app);

        app.Services.GetRequiredService<Fault>().Come.SetResult();
        await app.WaitForShutdownAsync().WaitAsync(Eventually.Deadline);

        Assert.Contains(lines.Told, l => l.Contains("the reason of the test", StringComparison.Ordinal));
    }

    private sealed class Faulty : IServiceModule
    {
        private readonly ProbeModule _inner = new();

        public string Name => "faulty";

        public void AddServices(IHostApplicationBuilder builder)
        {
            _inner.AddServices(builder);
            builder.Services.AddSingleton<Fault>();
            builder.Services.AddHostedService(s => s.GetRequiredService<Fault>());
        }

        public void MapEndpoints(IEndpointRouteBuilder routes)
        {
        }
    }

    private sealed class Fault : BackgroundService
    {
        public TaskCompletionSource Come { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            await Come.Task;
            throw new InvalidOperationException("the reason of the test");
        }
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Told { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Told.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}

using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Platform.EndToEnd.Tests.Telemetry;

/// <summary>A collector that keeps what is exported to it over OTLP with HTTP and protobuf, as bytes.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<(string Signal, byte[] Body)> _bodies = new();

    private OtlpReceiver(WebApplication app) => _app = app;

    public string Endpoint => _app.Urls.First();

    public static async Task<OtlpReceiver> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        var receiver = new OtlpReceiver(app);
        app.MapPost("/v1/{signal}", receiver.KeepAsync);
        await app.StartAsync();
        return receiver;
    }

    /// <summary>Whether any export of a signal (<c>traces</c>, <c>metrics</c>, <c>logs</c>) holds this text. Strings are UTF-8 in protobuf.</summary>
    public bool Has(string signal, string text) => Has(signal, Encoding.UTF8.GetBytes(text));

    public bool Has(string signal, byte[] bytes) => _bodies.Any(b => b.Signal == signal && b.Body.AsSpan().IndexOf(bytes) >= 0);

    /// <summary>The signals of which something has come.</summary>
    public IEnumerable<string> Signals => _bodies.Select(b => b.Signal).Distinct().Order();

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task<IResult> KeepAsync(string signal, HttpContext context)
    {
        Assert.Equal("application/x-protobuf", context.Request.ContentType);
        var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        _bodies.Enqueue((signal, body.ToArray()));
        // An empty message is a whole success.
        return Results.Bytes([], "application/x-protobuf");
    }
}

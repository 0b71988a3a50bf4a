using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Webhooks;

/// <summary>A request that came.</summary>
internal sealed record ReceivedWebhook(string Path, string Id, string Timestamp, string[] Signatures, byte[] Body)
{
    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    /// <summary>Checks a signature as a receiver does that knows nothing but the specification.</summary>
    public bool IsSignedWith(string secret)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{Id}.{Timestamp}."), .. Body];
        return Signatures.Contains("v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), signed)));
    }
}

/// <summary>Somebody who is told of runs.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ReceivedWebhook> _received = new();

    private WebhookReceiver(WebApplication app) => _app = app;

    /// <summary>Answers; 204 when null.</summary>
    public Func<ReceivedWebhook, HttpResponse, Task>? Answer { get; set; }

    public string Url => _app.Urls.First();

    public IReadOnlyList<ReceivedWebhook> At(string path) => [.. _received.Where(r => r.Path == path)];

    public static async Task<WebhookReceiver> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var receiver = new WebhookReceiver(builder.Build());
        receiver._app.Run(receiver.TakeAsync);
        await receiver._app.StartAsync();
        return receiver;
    }

    public async Task<ReceivedWebhook> NextAsync(string path, int count = 1)
    {
        await Waiting.UntilAsync(() => Task.FromResult(At(path).Count >= count), $"{count} webhooks at {path}");
        return At(path)[count - 1];
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        IHeaderDictionary headers = http.Request.Headers;
        var received = new ReceivedWebhook(http.Request.Path, headers["webhook-id"]!, headers["webhook-timestamp"]!, headers["webhook-signature"].ToString().Split(' '), body.ToArray());
        _received.Enqueue(received);
        http.Response.StatusCode = 204;
        if (Answer is { } answer) await answer(received, http.Response);
    }
}

using System.IO.Pipelines;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Local;
using MultiAgent.Models.Providers.OpenAi;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Providers.OpenAi;

/// <summary>The pass-through provider over the real transport, against an OpenAI-compatible server whose model is the local one.</summary>
public sealed class OpenAiConformanceTests : ModelProviderConformance, IAsyncLifetime
{
    private readonly HttpTransport _transport = new(TimeProvider.System);
    private readonly LocalProvider _behind = new(TimeProvider.System);
    private WebApplication? _server;
    private Deployment? _deployment;

    protected override IModelProvider Provider => new OpenAiProvider(_transport, TimeProvider.System);

    protected override Deployment Deployment => _deployment!;

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _server = builder.Build();
        _server.Run(ServeAsync);
        await _server.StartAsync();
        _deployment = new Deployment
        {
            Id = "fake/m#0",
            Provider = "fake",
            ProviderType = "openai",
            UpstreamModel = "assistant",
            BaseUrl = new Uri(_server.Urls.First() + "/v1"),
            ApiKey = "secret",
            Timeouts = new DeploymentTimeouts(new UpstreamTimeouts(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10)), TimeSpan.FromSeconds(30)),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _server!.DisposeAsync();
        _transport.Dispose();
    }

    // The splice asks every stream for its usage, and then every chunk carries the member.
    [Fact]
    public override async Task Chat_StreamWithoutUsageAskedFor_EndsWithUsageAllTheSame()
    {
        var chunks = Calls.Chunks(await Provider.StreamAsync(Plain(""","stream":true""")));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.True(chunks[^1].GetProperty("usage").GetProperty("prompt_tokens").GetInt64() > 0);
    }

    private async Task ServeAsync(HttpContext context)
    {
        Assert.Equal("Bearer secret", context.Request.Headers.Authorization);
        var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        RequestEnvelope envelope = RequestEnvelope.Parse(body.ToArray(), ModelOperation.Chat);
        Assert.Equal("assistant", envelope.Model);
        var local = new Deployment { Id = "local", Provider = "local", ProviderType = "local", UpstreamModel = "assistant", Timeouts = _deployment!.Timeouts };
        await using ProviderResponse answer = await _behind.SendAsync(new ProviderCall { Deployment = local, Operation = ModelOperation.Chat, Body = body.ToArray(), Envelope = envelope }, context.RequestAborted);
        context.Response.StatusCode = answer.StatusCode;
        context.Response.ContentType = answer.IsEventStream ? "text/event-stream" : "application/json";
        await answer.Body.CopyToAsync(context.Response.BodyWriter, context.RequestAborted);
    }
}

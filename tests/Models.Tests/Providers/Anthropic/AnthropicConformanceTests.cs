using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Anthropic;
using MultiAgent.Models.Tests.Upstream;

namespace MultiAgent.Models.Tests.Providers.Anthropic;

public sealed class AnthropicConformanceTests(FakeAnthropic server) : ModelProviderConformance, IClassFixture<FakeAnthropic>, IDisposable
{
    private readonly HttpClientTransport _transport = new();

    protected override IModelProvider Provider => new AnthropicProvider(_transport, TimeProvider.System);

    protected override Deployment Deployment { get; } = Calls.Deployment("anthropic", "fake-model", server.Url, ModelCapabilities.Chat | ModelCapabilities.Reasoning);

    public void Dispose() => _transport.Dispose();

    [Fact]
    public async Task Chat_CancelledInStream_EndsPromptlyAndLeavesTheServer()
    {
        using var cancellation = new CancellationTokenSource();
        Deployment deployment = Calls.Deployment("anthropic", "hangs", server.Url);
        await using ProviderResponse response = await Provider.SendAsync(
            Calls.Call(deployment, """{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"""), cancellation.Token);
        string seen = "";
        while (!seen.Contains("more."))
        {
            ReadResult read = await response.Body.ReadAsync().AsTask().WaitAsync(Calls.Patience);
            seen += Encoding.UTF8.GetString(System.Buffers.BuffersExtensions.ToArray(read.Buffer));
            response.Body.AdvanceTo(read.Buffer.End);
        }

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => response.Body.ReadAsync().AsTask().WaitAsync(Calls.Patience));
        Assert.Equal(new TokenUsage(10, 1), response.UsageSoFar);
        await response.DisposeAsync();
        await server.ClientLeft.Task.WaitAsync(Calls.Patience);
    }

    [Fact]
    public async Task Chat_WrongKey_Answers401WithCode()
    {
        Deployment deployment = new()
        {
            Id = "a#0", Provider = "anthropic", ProviderType = "anthropic", UpstreamModel = "fake-model", BaseUrl = server.Url, ApiKey = "wrong", Timeouts = Calls.Timeouts,
        };

        (int status, JsonElement body) = await Provider.JsonAsync(Calls.Call(deployment, """{"model":"m","messages":[{"role":"user","content":"hi"}]}"""));

        Assert.Equal(401, status);
        Calls.AssertError(body, "invalid_api_key");
    }

    [Fact]
    public async Task Embeddings_AreRefusedInErrorShape()
    {
        (int status, JsonElement body) = await Provider.JsonAsync(Calls.Call(Deployment, """{"model":"m","input":"x"}""", ModelOperation.Embeddings));

        Assert.Equal(400, status);
        Calls.AssertError(body, "unsupported_operation");
    }
}

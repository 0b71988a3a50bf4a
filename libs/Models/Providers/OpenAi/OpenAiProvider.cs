using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers.OpenAi;

/// <summary>Endpoints that speak the OpenAI dialect themselves: requests and responses pass through as bytes.</summary>
internal class OpenAiProvider(IUpstreamTransport transport, TimeProvider time) : IModelProvider
{
    public virtual string Type => "openai";

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ProviderResponse> SendAsync(ProviderCall call, CancellationToken cancellationToken)
    {
        Deployment deployment = call.Deployment;
        // Racing threads make equal states; the last one stays.
        State state = deployment.ProviderState as State ?? (State)(deployment.ProviderState = CreateState(deployment));
        UpstreamTarget target = call.Operation == ModelOperation.Chat ? state.Chat : state.Embeddings;
        RequestBody body = state.Splice.Apply(call.Body, call.Envelope);
        UpstreamResponse response = await transport.SendAsync(target, body, deployment.Timeouts.Attempt, cancellationToken);
        return new PassThrough(response, time);
    }

    /// <summary>Where a deployment's requests go and with what headers.</summary>
    protected virtual (Uri Chat, Uri Embeddings, IEnumerable<KeyValuePair<string, string>> Headers) Address(Deployment deployment)
    {
        string baseUrl = deployment.BaseUrl!.AbsoluteUri.TrimEnd('/');
        var headers = new Dictionary<string, string>(deployment.Headers, StringComparer.OrdinalIgnoreCase);
        if (deployment.ApiKey is { } key) headers["Authorization"] = $"Bearer {key}";
        return (new Uri(baseUrl + "/chat/completions"), new Uri(baseUrl + "/embeddings"), headers);
    }

    private State CreateState(Deployment deployment)
    {
        (Uri chat, Uri embeddings, IEnumerable<KeyValuePair<string, string>> headers) = Address(deployment);
        return new State(new UpstreamTarget(chat, headers), new UpstreamTarget(embeddings, headers), new RequestSplice(deployment.UpstreamModel));
    }

    private sealed record State(UpstreamTarget Chat, UpstreamTarget Embeddings, RequestSplice Splice);

    private sealed class PassThrough(UpstreamResponse response, TimeProvider time) : ProviderResponse
    {
        public override int StatusCode => response.StatusCode;

        public override bool IsEventStream { get; } =
            response.Header("Content-Type") is { } type && type.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase);

        public override TimeSpan? RetryAfter => RetryAfterHeader.Read(response, time);

        public override PipeReader Body => response.Body;

        public override ValueTask DisposeAsync() => response.DisposeAsync();
    }
}

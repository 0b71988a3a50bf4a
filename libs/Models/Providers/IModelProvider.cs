using System.IO.Pipelines;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Providers;

/// <summary>
/// Speaks to one kind of endpoint. Requests and responses are in the OpenAI dialect whatever the endpoint speaks: a
/// provider of another dialect translates both ways. One provider serves any number of deployments.
/// </summary>
public interface IModelProvider
{
    /// <summary>The <c>Type</c> in the configuration: <c>openai</c>, <c>azure-openai</c>, <c>anthropic</c>, <c>local</c>.</summary>
    string Type { get; }

    /// <summary>
    /// Makes one attempt at one deployment and returns when the status is known. Retries, fallbacks and the circuit
    /// breaker are the dispatcher's business.
    /// </summary>
    /// <exception cref="Upstream.UpstreamException">The attempt failed without an HTTP status.</exception>
    ValueTask<ProviderResponse> SendAsync(ProviderCall call, CancellationToken cancellationToken);
}

/// <summary>What one attempt needs.</summary>
public sealed class ProviderCall
{
    public required Deployment Deployment { get; init; }

    public required ModelOperation Operation { get; init; }

    /// <summary>The request in the OpenAI dialect, as the client sent it. Valid JSON, one object.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Where in <see cref="Body"/> the members are that a provider may have to change.</summary>
    public required RequestEnvelope Envelope { get; init; }

    /// <summary>The client wants server-sent events; the answer then ends with a usage chunk and <c>[DONE]</c>.</summary>
    public bool Stream => Envelope.Stream;
}

/// <summary>
/// A provider's answer in the OpenAI dialect. For a stream the body is server-sent events that include the usage chunk
/// (<c>"choices":[]</c>) if the provider reports usage, whether or not the client asked: the gateway drops it where it was not asked for.
/// </summary>
public abstract class ProviderResponse : IAsyncDisposable
{
    public abstract int StatusCode { get; }

    /// <summary>True when <see cref="Body"/> is server-sent events.</summary>
    public abstract bool IsEventStream { get; }

    /// <summary>What the provider asked for with <c>Retry-After</c> or <c>retry-after-ms</c>; null when it did not.</summary>
    public virtual TimeSpan? RetryAfter => null;

    /// <summary>The body. On an error status: an error object of the OpenAI shape.</summary>
    public abstract PipeReader Body { get; }

    /// <summary>
    /// What the provider has reported until now; null when it reports usage in <see cref="Body"/> alone. More exact
    /// than counting when a stream is cut before its usage chunk.
    /// </summary>
    public virtual TokenUsage? UsageSoFar => null;

    public abstract ValueTask DisposeAsync();
}

/// <summary>What is asked of a model.</summary>
public enum ModelOperation
{
    Chat,
    Embeddings,
}

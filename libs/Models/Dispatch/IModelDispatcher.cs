using System.IO.Pipelines;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;

namespace MultiAgent.Models.Dispatch;

/// <summary>
/// Sends a request to a model: resolves the name, picks a deployment, retries, falls back. The one way to a model for the
/// gateway and for agents.
/// </summary>
public interface IModelDispatcher
{
    /// <summary>
    /// Returns when an attempt has an answer whose body has begun, or when none is left to make. What fails before that is
    /// retried and falls back; nothing is after it.
    /// </summary>
    /// <exception cref="ModelException">No answer: the model is unknown, every attempt failed, or a time limit passed.</exception>
    ValueTask<ModelExchange> SendAsync(ModelCall call, CancellationToken cancellationToken);
}

/// <summary>A request to a model.</summary>
public sealed class ModelCall
{
    /// <summary>The request in the OpenAI dialect. Untrusted, but valid JSON as <see cref="RequestEnvelope.Parse"/> found it.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    public required RequestEnvelope Envelope { get; init; }

    public ModelOperation Operation { get; init; } = ModelOperation.Chat;

    /// <summary>
    /// Models to try after the requested one and before the catalogue's own fallbacks, e.g. an agent's.
    /// </summary>
    public IReadOnlyList<string> Fallbacks { get; init; } = [];

    /// <summary>Who pays, for the usage record.</summary>
    public required UsageContext Usage { get; init; }
}

/// <summary>What a usage record says beside tokens and time.</summary>
public sealed record UsageContext
{
    public required string TenantId { get; init; }
    public required string RequestId { get; init; }
    public string? ApiKeyId { get; init; }
    public string? UserId { get; init; }
    public string? RunId { get; init; }
    public string? Agent { get; init; }
}

/// <summary>
/// An answer that is on its way. Read <see cref="Body"/> to its end, then dispose. Disposing it early closes the connection to
/// the provider. Either way one usage record per attempt that used tokens is written, before disposal returns.
/// </summary>
public abstract class ModelExchange : IAsyncDisposable
{
    /// <summary>The provider's status: 200, or a 4xx that no other attempt could mend.</summary>
    public abstract int StatusCode { get; }

    public abstract bool IsEventStream { get; }

    /// <summary>The model that answers.</summary>
    public abstract ModelEntry Model { get; }

    /// <summary>Attempts made before this one: retries and fallbacks.</summary>
    public abstract int PriorAttempts { get; }

    /// <summary>Time from the start of the answering attempt to its first byte: what of the request's time is the provider's.</summary>
    public virtual TimeSpan UpstreamTime => TimeSpan.Zero;

    /// <summary>
    /// True once what was read holds the end of the answer. The usage is recorded by then, so that whoever hands the rest to a
    /// client knows that the call is in the books.
    /// </summary>
    public virtual bool AnswerComplete => false;

    /// <summary>True once the provider has told an error inside its stream.</summary>
    public virtual bool AnswerFailed => false;

    /// <summary>
    /// The body in the OpenAI dialect. In a stream the usage chunk (<c>"choices":[]</c>) is there only if the client asked for it.
    /// Reading throws <see cref="ModelException"/> when the provider breaks off.
    /// </summary>
    public abstract PipeReader Body { get; }

    /// <summary>Tokens, once the body has been read to its end; counted here if the provider reported none.</summary>
    public abstract TokenUsage? Usage { get; }

    /// <summary>US dollars of <see cref="Usage"/>; null while unknown, or when the price is.</summary>
    public abstract decimal? CostUsd { get; }

    public abstract ValueTask DisposeAsync();
}

/// <summary>A model did not answer. The message is for the client and holds no secret.</summary>
public sealed class ModelException(int status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>HTTP status for the client.</summary>
    public int Status { get; } = status;

    /// <summary>One of <see cref="Contracts.ErrorCodes"/>.</summary>
    public string Code { get; } = code;

    /// <summary>After how long trying again makes sense, when the provider said so.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

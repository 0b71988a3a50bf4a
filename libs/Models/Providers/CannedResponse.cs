using System.Buffers;
using System.IO.Pipelines;

namespace MultiAgent.Models.Providers;

/// <summary>A response whose body is already complete in memory: errors, and answers that are not streamed.</summary>
internal sealed class CannedResponse : ProviderResponse
{
    public CannedResponse(int statusCode, ReadOnlyMemory<byte> body, bool isEventStream = false, TimeSpan? retryAfter = null, TokenUsage? usage = null)
    {
        StatusCode = statusCode;
        IsEventStream = isEventStream;
        RetryAfter = retryAfter;
        UsageSoFar = usage;
        Body = PipeReader.Create(new ReadOnlySequence<byte>(body));
    }

    public override int StatusCode { get; }

    public override bool IsEventStream { get; }

    public override TimeSpan? RetryAfter { get; }

    public override TokenUsage? UsageSoFar { get; }

    public override PipeReader Body { get; }

    public override ValueTask DisposeAsync()
    {
        Body.Complete();
        return ValueTask.CompletedTask;
    }
}

using System.Buffers;
using System.IO.Pipelines;
using MultiAgent.Contracts.Clients;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Orchestrator.Completions;

/// <summary>An answer that is whole: a completion as JSON, or an error.</summary>
internal sealed class AgentCompletion(int statusCode, string? runId, ReadOnlyMemory<byte> body, int? retryAfterSeconds = null) : IAgentCompletion
{
    public int StatusCode => statusCode;

    public string? RunId => runId;

    public PipeReader Body { get; } = PipeReader.Create(new ReadOnlySequence<byte>(body));

    public bool Failed => statusCode >= 400;

    public int? RetryAfterSeconds => retryAfterSeconds;

    /// <summary>An error in the OpenAI shape.</summary>
    public static AgentCompletion Error(int status, string code, string message, string? param = null, string? runId = null, TimeSpan? retryAfter = null)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        ErrorWriter.WriteOpenAi(buffer, status, code, message, param);
        return new AgentCompletion(status, runId, buffer.WrittenMemory, retryAfter is { } after ? Math.Max(1, (int)Math.Ceiling(after.TotalSeconds)) : null);
    }

    public ValueTask DisposeAsync() => Body.CompleteAsync();
}

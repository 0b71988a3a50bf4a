using System.Buffers;
using System.IO.Pipelines;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>A refusal that is handed to the client: a status and an OpenAI error object. Already metered.</summary>
internal sealed class RefusedExchange(ModelEntry model, int status, byte[] body, int priorAttempts) : ModelExchange
{
    public override int StatusCode => status;
    public override bool IsEventStream => false;
    public override ModelEntry Model => model;
    public override int PriorAttempts => priorAttempts;
    public override PipeReader Body { get; } = PipeReader.Create(new ReadOnlySequence<byte>(body));
    public override TokenUsage? Usage => null;
    public override decimal? CostUsd => null;
    public override ValueTask DisposeAsync() => default;
}

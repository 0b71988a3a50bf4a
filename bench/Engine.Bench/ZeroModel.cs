using System.Buffers;
using System.Collections.Frozen;
using System.IO.Pipelines;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Bench.Engine;

/// <summary>A model without delay: whatever time a step takes is the engine's own.</summary>
internal sealed class ZeroModel : IModelDispatcher
{
    private static readonly ReadOnlySequence<byte> Answer = new(JsonSerializer.SerializeToUtf8Bytes(new
    {
        id = "chatcmpl-1",
        @object = "chat.completion",
        created = 1700000000,
        model = "zero",
        choices = new[] { new { index = 0, message = new { role = "assistant", content = "An order to Hue takes three days." }, finish_reason = "stop" } },
        usage = new { prompt_tokens = 40, completion_tokens = 9, total_tokens = 49 },
    }));

    public ValueTask<ModelExchange> SendAsync(ModelCall call, CancellationToken cancellationToken) => new(new Exchange());

    private sealed class Exchange : ModelExchange
    {
        private static readonly ModelEntry Entry = new()
        {
            Id = "zero/model", Provider = "zero", Name = "model", Listed = true,
            Deployments = [new Deployment { Id = "zero/model#0", Provider = "zero", ProviderType = "zero", UpstreamModel = "model", Timeouts = null!, Headers = FrozenDictionary<string, string>.Empty }],
        };

        public override int StatusCode => 200;
        public override bool IsEventStream => false;
        public override ModelEntry Model => Entry;
        public override int PriorAttempts => 0;
        public override PipeReader Body { get; } = PipeReader.Create(Answer);
        public override TokenUsage? Usage => new TokenUsage(40, 9);
        public override decimal? CostUsd => 0.0001m;

        public override ValueTask DisposeAsync() => default;
    }
}

/// <summary>A tool without delay.</summary>
internal sealed class ZeroTool : ITool
{
    private const string Schema = """{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}""";

    public string Name => "zero";
    public string Description => "Does nothing.";
    public string ParametersSchema => Schema;
    public byte[] Definition { get; } = ToolRegistry.Define("zero", "Does nothing.", Schema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken) => Task.FromResult(new ToolResult("""{"done":true}"""));
}

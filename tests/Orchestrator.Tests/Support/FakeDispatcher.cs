using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>What the scripted model answers to one request.</summary>
internal sealed record FakeAnswer
{
    /// <summary>The answer's text in the pieces of a stream.</summary>
    public string[] Pieces { get; init; } = [];
    public (string Id, string Name, string Arguments)[] Calls { get; init; } = [];
    public string? FinishReason { get; init; }
    public long InputTokens { get; init; } = 5;
    public long OutputTokens { get; init; } = 2;
    public long CachedInputTokens { get; init; }
    public long ReasoningTokens { get; init; }
    /// <summary>The provider reported nothing; the tokens are counted.</summary>
    public bool Estimated { get; init; }
    public decimal? CostUsd { get; init; } = 0.001m;
    public int Status { get; init; } = 200;
    public string? ErrorBody { get; init; }
    /// <summary>Awaited before each piece, with its index, and once after the last.</summary>
    public Func<int, CancellationToken, Task>? Gate { get; init; }
    /// <summary>The stream ends without a finish reason.</summary>
    public bool BreaksOff { get; init; }

    public static FakeAnswer Says(params string[] pieces) => new() { Pieces = pieces };

    public static FakeAnswer Calling(string name, string arguments, string id = "call_1") => new() { Calls = [(id, name, arguments)] };
}

/// <summary>A request that the model got.</summary>
internal sealed record SeenRequest(JsonElement Body, ModelCall Call)
{
    public JsonElement[] Messages => [.. Body.GetProperty("messages").EnumerateArray()];

    public string[] Roles => [.. Messages.Select(m => m.GetProperty("role").GetString()!)];

    public string LastContent => Messages[^1].GetProperty("content").GetString()!;
}

/// <summary>A model scripted by the test.</summary>
internal sealed class FakeDispatcher : IModelDispatcher
{
    private readonly ConcurrentQueue<FakeAnswer> _script = new();

    public ConcurrentQueue<SeenRequest> Requests { get; } = new();

    /// <summary>Answers when the script is empty.</summary>
    public Func<SeenRequest, CancellationToken, Task<FakeAnswer>> Default { get; set; } = (_, _) => Task.FromResult(FakeAnswer.Says("Hello", " there"));

    /// <summary>Calls whose exchange was closed before its body was read to the end, or whose request was cancelled.</summary>
    public SemaphoreSlim ClosedEarly { get; } = new(0);

    public void Script(params FakeAnswer[] answers)
    {
        foreach (FakeAnswer answer in answers) _script.Enqueue(answer);
    }

    public async ValueTask<ModelExchange> SendAsync(ModelCall call, CancellationToken cancellationToken)
    {
        var seen = new SeenRequest(JsonDocument.Parse(call.Body).RootElement.Clone(), call);
        Requests.Enqueue(seen);
        try
        {
            FakeAnswer answer = _script.TryDequeue(out FakeAnswer? scripted) ? scripted : await Default(seen, cancellationToken);
            if (answer.Gate is { } gate && !call.Envelope.Stream) await gate(0, cancellationToken);
            return new FakeExchange(this, answer, call.Envelope.Stream);
        }
        catch (OperationCanceledException)
        {
            ClosedEarly.Release();
            throw;
        }
    }

    private sealed class FakeExchange : ModelExchange
    {
        private readonly FakeDispatcher _owner;
        private readonly FakeAnswer _answer;
        private readonly Pipe _pipe = new();
        private readonly CancellationTokenSource _closed = new();
        private readonly Task _writing;
        private bool _whole;

        public FakeExchange(FakeDispatcher owner, FakeAnswer answer, bool stream)
        {
            _owner = owner;
            _answer = answer;
            IsEventStream = stream && answer.Status == 200;
            _writing = WriteAsync();
        }

        public override int StatusCode => _answer.Status;
        public override bool IsEventStream { get; }
        public override int PriorAttempts => 0;
        public override PipeReader Body => _pipe.Reader;
        public override TokenUsage? Usage => new TokenUsage(_answer.InputTokens, _answer.OutputTokens, CachedInputTokens: _answer.CachedInputTokens, ReasoningTokens: _answer.ReasoningTokens, Estimated: _answer.Estimated);
        public override decimal? CostUsd => _answer.CostUsd;
        public override ModelEntry Model => new()
        {
            Id = "fake/model", Provider = "fake", Name = "model", Listed = true,
            Deployments = [new Deployment { Id = "fake/model#0", Provider = "fake", ProviderType = "fake", UpstreamModel = "model", Timeouts = null!, Headers = FrozenDictionary<string, string>.Empty }],
        };

        public override async ValueTask DisposeAsync()
        {
            await _closed.CancelAsync();
            await _writing;
            await _pipe.Reader.CompleteAsync();
            if (!_whole) _owner.ClosedEarly.Release();
        }

        private async Task WriteAsync()
        {
            try
            {
                if (_answer.ErrorBody is { } error) await PutAsync(error);
                else if (!IsEventStream) await PutAsync(Whole());
                else await StreamAsync();
                _whole = true;
            }
            catch (OperationCanceledException)
            {
                // closed early
            }
            await _pipe.Writer.CompleteAsync();
        }

        private async Task StreamAsync()
        {
            for (int i = 0; i < _answer.Pieces.Length; i++)
            {
                if (_answer.Gate is { } gate) await gate(i, _closed.Token);
                await PutAsync(Chunk(JsonSerializer.Serialize(new { content = _answer.Pieces[i] }), null));
            }
            if (_answer.Gate is { } last) await last(_answer.Pieces.Length, _closed.Token);
            for (int i = 0; i < _answer.Calls.Length; i++)
            {
                (string id, string name, string arguments) = _answer.Calls[i];
                await PutAsync(Chunk(JsonSerializer.Serialize(new { tool_calls = new[] { new { index = i, id, type = "function", function = new { name, arguments = "" } } } }), null));
                foreach (string piece in new[] { arguments[..(arguments.Length / 2)], arguments[(arguments.Length / 2)..] })
                    await PutAsync(Chunk(JsonSerializer.Serialize(new { tool_calls = new[] { new { index = i, function = new { arguments = piece } } } }), null));
            }
            if (_answer.BreaksOff) return;
            await PutAsync(Chunk("{}", Finish));
            await PutAsync("data: [DONE]\n\n");
        }

        private string Finish => _answer.FinishReason ?? (_answer.Calls.Length > 0 ? "tool_calls" : "stop");

        private string Whole() => JsonSerializer.Serialize(new
        {
            id = "x",
            @object = "chat.completion",
            choices = new[]
            {
                new
                {
                    index = 0,
                    message = new
                    {
                        role = "assistant",
                        content = _answer.Pieces.Length == 0 ? null : string.Concat(_answer.Pieces),
                        tool_calls = _answer.Calls.Select(c => new { id = c.Id, type = "function", function = new { name = c.Name, arguments = c.Arguments } }).ToArray(),
                    },
                    finish_reason = Finish,
                },
            },
        });

        private static string Chunk(string delta, string? finish) =>
            $"data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{(finish is null ? "null" : $"\"{finish}\"")}}}]}}\n\n";

        private async Task PutAsync(string text) => await _pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(text), _closed.Token);
    }
}

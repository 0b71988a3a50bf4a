using System.Diagnostics;
using System.IO.Pipelines;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Upstream;
using MultiAgent.Models.Usage;

namespace MultiAgent.Models.Dispatch;

/// <summary>An answer under way, and its bookkeeping: whatever way it ends, it is metered once.</summary>
internal sealed class LiveExchange : ModelExchange
{
    private readonly ModelDispatcher _dispatcher;
    private readonly ModelCall _call;
    private readonly Deployment _deployment;
    private readonly ProviderResponse _response;
    private readonly StreamFilter? _filter;
    private readonly PipeReader _body;
    private readonly Attempt _attempt;
    private TokenUsage? _usage;
    private string? _errorCode;
    private bool _recorded;
    private bool _disposed;

    public LiveExchange(ModelDispatcher dispatcher, ModelCall call, ModelEntry model, Deployment deployment, ProviderResponse response, Attempt attempt)
    {
        _dispatcher = dispatcher;
        _call = call;
        _deployment = deployment;
        _response = response;
        _attempt = attempt;
        Model = model;
        if (response.IsEventStream && response.StatusCode < 300)
        {
            _filter = new StreamFilter(response.Body, call.Envelope.IncludeUsage);
            _body = new GuardedReader(this, _filter);
        }
        else _body = response.Body;
    }

    public override int StatusCode => _response.StatusCode;

    public override bool IsEventStream => _filter is not null;

    public override ModelEntry Model { get; }

    public override int PriorAttempts => _attempt.Number;

    public override TimeSpan UpstreamTime => _dispatcher.Time.GetElapsedTime(_attempt.Started, _attempt.FirstByte);

    public override PipeReader Body => _body;

    public override TokenUsage? Usage => _usage ?? (_filter is { Completed: true } ? Settle() : null);

    public override decimal? CostUsd => Usage is { } usage ? Model.Price?.Cost(usage) : null;

    public override bool AnswerFailed => _filter is { Failed: true };

    public override bool AnswerComplete => _filter is null || _filter.Done || _filter.Completed;

    /// <summary>A JSON answer is there as a whole before it is handed out, and so is its usage.</summary>
    public void Complete(TokenUsage usage)
    {
        _usage = usage;
        Record();
    }

    public override async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        Record();
        _filter?.Complete();
        await _response.DisposeAsync();
    }

    /// <summary>Meters the answer, once: before its last bytes are handed out, or when it is given up.</summary>
    private void Record()
    {
        if (_recorded) return;
        _recorded = true;
        TokenUsage usage = Settle();
        string status = "ok";
        if (_errorCode is not null) status = "interrupted";
        else if (_filter is { Failed: true })
        {
            (status, _errorCode) = ("error", ErrorCodes.ProviderError);
            _dispatcher.StreamFailed(_deployment);
        }
        else if (!AnswerComplete) status = "cancelled";
        _dispatcher.Record(_call, Model, _deployment, _attempt, usage, status, _errorCode);
    }

    private TokenUsage Settle()
    {
        if (_usage is { } known) return known;
        if (_filter?.Usage is { } reported) _usage = reported;
        else
        {
            TokenUsage counted = _dispatcher.Estimate(_call, _filter);
            // What a cut stream had reported is exact for the input; of the output it tells the beginning at most.
            _usage = _response.UsageSoFar is { } soFar ? soFar with { OutputTokens = Math.Max(soFar.OutputTokens, counted.OutputTokens), Estimated = true } : counted;
        }
        return _usage.Value;
    }

    private bool TimeIsUp => _dispatcher.Time.GetElapsedTime(_attempt.Started) > _deployment.Timeouts.Total;

    /// <summary>Turns what breaks in the middle of a stream into the one exception that consumers know.</summary>
    private sealed class GuardedReader(LiveExchange exchange, StreamFilter filter) : PipeReader
    {
        public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                ReadResult result = await filter.ReadAsync(cancellationToken);
                if (result.IsCompleted && !filter.Done && !filter.Finished && !filter.Failed)
                    throw new UpstreamException(UpstreamFailure.ConnectionLost, "The provider ended its stream before the answer was complete.");
                if (exchange.AnswerComplete) exchange.Record();
                else if (exchange.TimeIsUp)
                    throw new UpstreamException(UpstreamFailure.TotalTimeout, "The answer took longer than allowed.");
                return result;
            }
            catch (UpstreamException) when (filter.Done)
            {
                // The answer was whole; only the connection is lost.
                exchange.Record();
                return new ReadResult(default, false, true);
            }
            catch (UpstreamException e)
            {
                exchange._errorCode = ErrorCodes.ProviderStreamInterrupted;
                exchange._dispatcher.StreamBroke(exchange._deployment, e);
                throw new ModelException(e.Failure is UpstreamFailure.ChunkTimeout or UpstreamFailure.TotalTimeout ? 504 : 502, ErrorCodes.ProviderStreamInterrupted, e.Message, e);
            }
        }

        public override bool TryRead(out ReadResult result) => filter.TryRead(out result);

        public override void AdvanceTo(SequencePosition consumed) => filter.AdvanceTo(consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => filter.AdvanceTo(consumed, examined);

        public override void CancelPendingRead() => filter.CancelPendingRead();

        public override void Complete(Exception? exception = null)
        {
        }
    }
}

/// <summary>Clock readings of one attempt (<see cref="TimeProvider.GetTimestamp"/>).</summary>
/// <param name="Number">Attempts before this one.</param>
/// <param name="Started">When the attempt began.</param>
/// <param name="FirstByte">When the body began; 0 when it did not.</param>
internal readonly record struct Attempt(int Number, long Started, long FirstByte)
{
    /// <summary>The attempt's span, ended when the attempt is recorded; null while nobody listens.</summary>
    public Activity? Span { get; init; }
}

using System.IO.Pipelines;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Completions;

/// <summary>A run's answer as it appears, in chunks of the OpenAI dialect.</summary>
internal sealed class StreamedCompletion : IAgentCompletion
{
    private readonly Pipe _pipe = new();
    private readonly StartedRun _started;
    private readonly Action _left;
    private readonly Func<CancellationToken, Task<RunOutcome?>> _outcome;
    private readonly bool _includeUsage;
    private readonly CancellationTokenSource _stop = new();
    private LiveCursor _cursor = LiveCursor.FromStart;
    private Task _pump = Task.CompletedTask;

    private StreamedCompletion(StartedRun started, bool includeUsage, Func<CancellationToken, Task<RunOutcome?>> outcome, Action left)
    {
        _started = started;
        _includeUsage = includeUsage;
        _left = left;
        _outcome = outcome;
    }

    public int StatusCode => 200;

    public string? RunId => _started.Run.Id;

    public PipeReader Body => _pipe.Reader;

    public bool Failed { get; private set; }

    public int? RetryAfterSeconds => null;

    /// <summary>Waits for the first sign of an answer: a stream that fails before it is an error with a status.</summary>
    /// <param name="started">The run.</param>
    /// <param name="includeUsage">The client wants the usage chunk.</param>
    /// <param name="outcome">Gives what the client is to be told at the end.</param>
    /// <param name="left">Called once when nobody reads any more.</param>
    /// <param name="cancellationToken">Fires when the client leaves.</param>
    /// <returns>The stream, or null with the run's outcome when it failed or was cancelled first.</returns>
    public static async ValueTask<(StreamedCompletion? Stream, RunOutcome? Failed)> StartAsync(StartedRun started, bool includeUsage, Func<CancellationToken, Task<RunOutcome?>> outcome, Action left, CancellationToken cancellationToken)
    {
        var completion = new StreamedCompletion(started, includeUsage, outcome, left);
        List<LiveItem> items = [], news = [];
        if (started.Live is { } live)
        {
            while (!news.Exists(i => i.Event is null || RunEventTypes.IsFinal(i.Event.Type)))
            {
                // Into an empty list: what is in it already counts as news.
                news.Clear();
                Task? more = live.Read(ref completion._cursor, news, out bool behind);
                items.AddRange(news);
                if (more is null || behind) break;
                await more.WaitAsync(cancellationToken);
            }
        }
        bool text = items.Exists(i => i.Event is null);
        if (!text && (started.Outcome ?? await outcome(cancellationToken)) is var end && end?.Run.Status is not (RunStatus.Completed or RunStatus.Waiting or RunStatus.Paused))
            return (null, end);
        completion._pump = completion.PumpAsync(items);
        return (completion, null);
    }

    /// <summary>A stream that is silent until the run ends, and then tells its answer.</summary>
    /// <param name="started">The run; not followed.</param>
    /// <param name="includeUsage">The client wants the usage chunk.</param>
    /// <param name="outcome">Waits for the end; its token fires when the reader leaves.</param>
    public static StreamedCompletion OfOutcome(StartedRun started, bool includeUsage, Func<CancellationToken, Task<RunOutcome?>> outcome)
    {
        var completion = new StreamedCompletion(started with { Live = null, Outcome = null }, includeUsage, outcome, static () => { });
        completion._pump = completion.PumpAsync([]);
        return completion;
    }

    public async ValueTask DisposeAsync()
    {
        await _pipe.Reader.CompleteAsync();
        await _stop.CancelAsync();
        await _pump;
        _stop.Dispose();
        _left();
    }

    private async Task PumpAsync(List<LiveItem> items)
    {
        Exception? fault = null;
        try
        {
            var writer = new ChunkWriter(_pipe.Writer, _started.Run, _includeUsage);
            bool any = _started.Live is not { } live || await FollowAsync(live, writer, items);
            RunOutcome? outcome = _started.Outcome ?? await _outcome(_stop.Token);
            Finish(writer, outcome, any);
            await _pipe.Writer.FlushAsync(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The reader left.
        }
        catch (Exception e)
        {
            fault = e;
        }
        await _pipe.Writer.CompleteAsync(fault);
    }

    /// <summary>Writes text until the run ends. False when the text of the answer was not among what was read.</summary>
    private async Task<bool> FollowAsync(LiveRun live, ChunkWriter writer, List<LiveItem> items)
    {
        bool textSinceBreak = false, pause = false, whole = true;
        while (true)
        {
            foreach (LiveItem item in items)
            {
                if (item.Event is { } e)
                {
                    // The model spoke before it called a tool: what it says afterwards is a paragraph of its own.
                    if (e.EndsText && e.Type == RunEventTypes.ModelCompleted && textSinceBreak) (pause, textSinceBreak) = (true, false);
                    if (RunEventTypes.IsFinal(e.Type)) return whole;
                    continue;
                }
                if (pause) writer.Text("\n\n"u8);
                pause = false;
                textSinceBreak = true;
                writer.Text(item.Text.Span);
            }
            if (items.Count > 0)
            {
                FlushResult flushed = await _pipe.Writer.FlushAsync(_stop.Token);
                if (flushed.IsCompleted) throw new OperationCanceledException(_stop.Token);
            }
            items.Clear();
            Task? more = live.Read(ref _cursor, items, out bool behind);
            if (more is null) return whole;
            if (behind)
            {
                // So far behind that text was missed; what is left is told at the end.
                whole = false;
                _cursor = LiveCursor.After(long.MaxValue - 1);
                await live.Outcome.WaitAsync(_stop.Token);
                return whole;
            }
            if (items.Count == 0) await more.WaitAsync(_stop.Token);
        }
    }

    private void Finish(ChunkWriter writer, RunOutcome? outcome, bool textWritten)
    {
        if (outcome is { Run.Status: RunStatus.Completed or RunStatus.Waiting or RunStatus.Paused, Message: { } message })
        {
            bool rests = outcome.Run.IsResting;
            if (rests && _started.Live is not null) writer.Text("\n\n"u8);
            if ((_started.Live is null || !textWritten || rests) && !message.Text.IsEmpty) writer.Text(message.Text.Span);
            if (!message.ToolCalls.IsEmpty) writer.ToolCalls(message.ToolCalls);
            writer.End(outcome.Run, message.FinishReason);
            return;
        }
        (int status, string code, string text) = AgentCompletions.Describe(outcome);
        Failed = true;
        CompletionWriter.StreamError(_pipe.Writer, status, code, text);
    }
}

using System.Buffers;
using System.IO.Pipelines;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>
/// A streamed answer: a background loop reads the provider's events and writes chunks into a bounded pipe, so that a
/// slow client slows the provider down. Disposing ends the loop and gives the connection up.
/// </summary>
internal sealed class AnthropicStreamResponse : ProviderResponse
{
    private readonly UpstreamResponse _upstream;

    // A flush returns when the reader has seen everything: what came before a failure is then never lost to it, since a
    // pipe that ends with an exception throws it before what is still unread.
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 1, useSynchronizationContext: false));
    private readonly SseEventReader _events = new();
    private readonly AnthropicEventTranslator _translator;
    private readonly CancellationTokenSource _stop;
    private StreamProgress _progress;
    private Task _pump = Task.CompletedTask;
    private int _disposed;

    private AnthropicStreamResponse(UpstreamResponse upstream, string? structuredTool, bool includeUsage, long created, CancellationToken cancellationToken)
    {
        _upstream = upstream;
        _translator = new AnthropicEventTranslator(_pipe.Writer, structuredTool, includeUsage, created);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
    }

    public override int StatusCode => 200;

    public override bool IsEventStream => true;

    public override PipeReader Body => _pipe.Reader;

    public override TokenUsage? UsageSoFar => _translator.UsageSoFar;

    /// <summary>
    /// Waits for the first event, because an overloaded provider may say so only there: an error before the message
    /// becomes an error response, on which the dispatcher can still go elsewhere. Owns <paramref name="upstream"/>.
    /// </summary>
    public static async ValueTask<ProviderResponse> OpenAsync(UpstreamResponse upstream, string? structuredTool, bool includeUsage, long created, CancellationToken cancellationToken)
    {
        var response = new AnthropicStreamResponse(upstream, structuredTool, includeUsage, created, cancellationToken);
        try
        {
            while (!response._translator.Started && response._translator.Error is null) await response.TranslateNextAsync();
        }
        catch
        {
            await response.DisposeAsync();
            throw;
        }
        if (response._translator is { Started: false, Error: { } error })
        {
            await response.DisposeAsync();
            return error.ToResponse();
        }
        response._pump = response.PumpAsync();
        return response;
    }

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _stop.CancelAsync();
        await _pipe.Reader.CompleteAsync();
        await _pump;
        await _pipe.Writer.CompleteAsync();
        await _upstream.DisposeAsync();
        _translator.Dispose();
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        Exception? failure = null;
        try
        {
            // The first events were translated but not yet shown.
            FlushResult flushed = await _pipe.Writer.FlushAsync(_stop.Token);
            while (_progress == StreamProgress.Open && !flushed.IsCompleted)
            {
                await TranslateNextAsync();
                flushed = await _pipe.Writer.FlushAsync(_stop.Token);
            }
            if (_progress == StreamProgress.Done) await DrainAsync();
        }
        catch (Exception e)
        {
            failure = e;
        }
        if (failure is not null and not OperationCanceledException) await FlushLastAsync();
        await _pipe.Writer.CompleteAsync(failure);
    }

    private async Task FlushLastAsync()
    {
        try
        {
            await _pipe.Writer.FlushAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // Nobody reads any more.
        }
    }

    /// <summary>Translates what one read brings.</summary>
    private async ValueTask TranslateNextAsync()
    {
        ReadResult read = await _upstream.Body.ReadAsync(_stop.Token);
        ReadOnlySequence<byte> rest = read.Buffer;
        try
        {
            while (_progress == StreamProgress.Open && _events.TryRead(ref rest, out ReadOnlyMemory<byte> data)) _progress = _translator.Translate(data);
        }
        catch (InvalidDataException e)
        {
            throw new UpstreamException(UpstreamFailure.InvalidResponse, e.Message, e);
        }
        _upstream.Body.AdvanceTo(rest.Start, rest.End);
        if (read.IsCompleted && _progress == StreamProgress.Open)
            throw new UpstreamException(UpstreamFailure.ConnectionLost, "The provider's stream ended before the message was complete.");
    }

    /// <summary>Reads to the end, which follows at once, so that the connection can serve again.</summary>
    private async Task DrainAsync()
    {
        try
        {
            ReadResult read;
            do
            {
                read = await _upstream.Body.ReadAsync(_stop.Token);
                _upstream.Body.AdvanceTo(read.Buffer.End);
            }
            while (!read.IsCompleted);
        }
        catch (Exception e) when (e is UpstreamException or OperationCanceledException)
        {
            // The answer is complete; only the connection is lost.
        }
    }
}

using System.Buffers;
using System.IO.Pipelines;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Hosting.Services.Clients;

/// <summary>An answer of another process that is whole.</summary>
internal sealed class RemoteCompletion(int statusCode, string? runId, ReadOnlyMemory<byte> body, int? retryAfterSeconds) : IAgentCompletion
{
    public int StatusCode => statusCode;

    public string? RunId => runId;

    public PipeReader Body { get; } = PipeReader.Create(new ReadOnlySequence<byte>(body));

    public bool Failed => statusCode >= 400;

    public int? RetryAfterSeconds => retryAfterSeconds;

    public static RemoteCompletion Error(int status, string code, string message, TimeSpan? retryAfter, string? param = null)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        ErrorWriter.WriteOpenAi(buffer, status, code, message, param);
        return new RemoteCompletion(status, null, buffer.WrittenMemory, retryAfter is { } after ? Math.Max(1, (int)Math.Ceiling(after.TotalSeconds)) : null);
    }

    public ValueTask DisposeAsync() => Body.CompleteAsync();
}

/// <summary>An answer of another process as it comes. Disposing of it before its end closes the connection, by which the run is cancelled.</summary>
internal sealed class RemoteStream : IAgentCompletion
{
    private readonly HttpResponseMessage _response;
    private readonly CancellationTokenSource _stop = new();
    private readonly Pipe _pipe = new();
    private readonly Task _pump;

    public RemoteStream(HttpResponseMessage response, string? runId)
    {
        (_response, RunId) = (response, runId);
        _pump = PumpAsync();
    }

    public int StatusCode => 200;

    public string? RunId { get; }

    public PipeReader Body => _pipe.Reader;

    public bool Failed { get; private set; }

    public int? RetryAfterSeconds => null;

    public async ValueTask DisposeAsync()
    {
        await _pipe.Reader.CompleteAsync();
        await _stop.CancelAsync();
        _response.Dispose();
        await _pump;
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        PipeWriter writer = _pipe.Writer;
        try
        {
            await using Stream body = await _response.Content.ReadAsStreamAsync(_stop.Token);
            var end = new EndOfStream();
            while (true)
            {
                Memory<byte> memory = writer.GetMemory(4096);
                int read = await body.ReadAsync(memory, _stop.Token);
                if (read == 0) break;
                end.Add(memory.Span[..read]);
                writer.Advance(read);
                if ((await writer.FlushAsync(_stop.Token)).IsCompleted) break;
            }
            // Set before the reader sees the end. HTTP/1.1 has no place for it behind the body.
            Failed = !end.IsDone;
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
            // The reader left.
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // The process that answered is gone. The stream ends as one does whose run failed: with an error and without its end mark.
            Failed = true;
            writer.Write("data: "u8);
            ErrorWriter.WriteOpenAi(writer, 503, ErrorCodes.ServiceUnavailable, "The orchestrator broke off its answer; the run goes on, or is taken up at its next start.");
            writer.Write("\n\n"u8);
            await writer.FlushAsync();
        }
        await writer.CompleteAsync();
    }

    /// <summary>The last bytes of a stream: an answer that is whole ends with its mark, one that failed with an error.</summary>
    private sealed class EndOfStream
    {
        private readonly byte[] _tail = new byte[Mark.Length];

        private static ReadOnlySpan<byte> Mark => "data: [DONE]\n\n"u8;

        public bool IsDone => Mark.SequenceEqual(_tail);

        public void Add(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length < _tail.Length) _tail.AsSpan(bytes.Length).CopyTo(_tail);
            bytes = bytes[Math.Max(0, bytes.Length - _tail.Length)..];
            bytes.CopyTo(_tail.AsSpan(_tail.Length - bytes.Length));
        }
    }
}

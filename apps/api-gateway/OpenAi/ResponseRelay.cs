using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>Copies an answer to the client as it comes.</summary>
internal static class ResponseRelay
{
    /// <summary>An answer that is small enough to have been read as a whole.</summary>
    public static async ValueTask JsonAsync(HttpContext context, int status, PipeReader body)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        while (true)
        {
            ReadResult read = await body.ReadAsync(context.RequestAborted);
            if (!read.IsCompleted)
            {
                body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }
            response.ContentLength = read.Buffer.Length;
            await WriteAsync(read.Buffer, response.BodyWriter, context.RequestAborted);
            body.AdvanceTo(read.Buffer.End);
            return;
        }
    }

    /// <summary>
    /// Server-sent events. What breaks after the first byte is told in the stream, which then ends without <c>[DONE]</c>.
    /// </summary>
    /// <param name="context">The request to answer.</param>
    /// <param name="body">The events.</param>
    /// <param name="keepAlive">Keeps the stream open while the answer is silent.</param>
    /// <param name="exchange">The exchange behind the body, where it is a model's.</param>
    /// <param name="books">Closed before the end of the exchange's answer is written.</param>
    /// <returns>How it ended: <c>completed</c>, <c>failed</c> or <c>abandoned</c>.</returns>
    public static async ValueTask<string> StreamAsync(HttpContext context, PipeReader body, KeepAlive keepAlive, ModelExchange? exchange, CompletionBooks? books)
    {
        HttpResponse response = context.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        PipeWriter output = response.BodyWriter;
        KeepAlive.Stream stream = keepAlive.Add(output);
        try
        {
            while (true)
            {
                ReadResult read = await body.ReadAsync(context.RequestAborted);
                if (exchange is { AnswerComplete: true }) books?.Close(exchange.AnswerFailed ? "failed" : "completed");
                if (!read.Buffer.IsEmpty)
                {
                    stream.Enter();
                    try
                    {
                        // An answer that has come as a whole needs no chunks, and goes out in one piece.
                        if (read.IsCompleted && !response.HasStarted) response.ContentLength = read.Buffer.Length;
                        FlushResult flushed = await WriteAsync(read.Buffer, output, context.RequestAborted);
                        body.AdvanceTo(read.Buffer.End);
                        if (flushed.IsCompleted) return "abandoned";
                    }
                    finally
                    {
                        stream.Exit();
                    }
                }
                else body.AdvanceTo(read.Buffer.End);
                if (!read.IsCompleted) continue;
                if (exchange is not { AnswerFailed: true }) return "completed";
                context.DoNotKeepAnswer();
                return "failed";
            }
        }
        catch (ModelException e)
        {
            context.DoNotKeepAnswer();
            stream.Enter();
            output.Write("data: "u8);
            ErrorWriter.WriteOpenAi(output, e.Status, e.Code, e.Message);
            output.Write("\n\n"u8);
            await output.FlushAsync(context.RequestAborted);
            return "failed";
        }
        finally
        {
            keepAlive.Remove(stream);
        }
    }

    // In one call where it can be: what is written to the pipe before its first flush is copied once more, behind the headers.
    private static ValueTask<FlushResult> WriteAsync(in ReadOnlySequence<byte> from, PipeWriter to, CancellationToken cancellationToken)
    {
        if (from.IsSingleSegment) return to.WriteAsync(from.First, cancellationToken);
        foreach (ReadOnlyMemory<byte> segment in from) to.Write(segment.Span);
        return to.FlushAsync(cancellationToken);
    }
}

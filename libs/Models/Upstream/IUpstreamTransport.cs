using System.IO.Pipelines;

namespace MultiAgent.Models.Upstream;

/// <summary>Posts request bodies to providers over pooled connections.</summary>
public interface IUpstreamTransport
{
    /// <summary>
    /// Sends one request and returns when the response's head has arrived. Cancelling closes the connection, so that
    /// the provider stops working.
    /// </summary>
    /// <param name="body">The segments of the body, sent one after the other.</param>
    /// <exception cref="UpstreamException">The connection could not be made or broke, or a time limit passed.</exception>
    ValueTask<UpstreamResponse> SendAsync(UpstreamTarget target, RequestBody body, UpstreamTimeouts timeouts, CancellationToken cancellationToken);
}

/// <summary>Up to three pieces of memory that make one request body: before, instead of, and after a splice.</summary>
public readonly record struct RequestBody(ReadOnlyMemory<byte> First, ReadOnlyMemory<byte> Second = default, ReadOnlyMemory<byte> Third = default)
{
    /// <summary>Length in bytes.</summary>
    public int Length => First.Length + Second.Length + Third.Length;
}

/// <summary>Limits of time for one attempt.</summary>
/// <param name="Connect">From the start to an open connection, TLS included.</param>
/// <param name="FirstByte">From the request being sent to the head of the response.</param>
/// <param name="BetweenChunks">Longest silence inside the body.</param>
public sealed record UpstreamTimeouts(TimeSpan Connect, TimeSpan FirstByte, TimeSpan BetweenChunks)
{
    /// <summary>From the request being sent to the end of the body; bounds the other two. Default: no limit.</summary>
    public TimeSpan Total { get; init; } = Timeout.InfiniteTimeSpan;
}

/// <summary>A response whose body is still arriving. Dispose it: a body that was not read to its end closes the connection.</summary>
public abstract class UpstreamResponse : IAsyncDisposable
{
    public abstract int StatusCode { get; }

    /// <summary>A header's value, or null. Names are compared without case.</summary>
    public abstract string? Header(string name);

    /// <summary>The decoded body. Reading throws <see cref="UpstreamException"/> when the connection breaks before the end.</summary>
    public abstract PipeReader Body { get; }

    public abstract ValueTask DisposeAsync();
}

/// <summary>Why an exchange with a provider failed.</summary>
public enum UpstreamFailure
{
    /// <summary>No connection: refused, unreachable, name unknown, TLS failed.</summary>
    Connect,
    ConnectTimeout,
    FirstByteTimeout,
    ChunkTimeout,
    /// <summary>The whole exchange took longer than allowed.</summary>
    TotalTimeout,
    /// <summary>The connection broke before the response was complete.</summary>
    ConnectionLost,
    /// <summary>What came is not HTTP/1.1, or not the dialect that was agreed.</summary>
    InvalidResponse,
}

/// <summary>An exchange with a provider failed; <see cref="Failure"/> says how. The message holds no content and no secret.</summary>
public sealed class UpstreamException(UpstreamFailure failure, string message, Exception? inner = null) : IOException(message, inner)
{
    public UpstreamFailure Failure { get; } = failure;

    /// <summary>Whether the provider may have read the request, and so may charge for its input.</summary>
    public bool MayHaveBeenRead => Failure is not (UpstreamFailure.Connect or UpstreamFailure.ConnectTimeout);
}

/// <summary>The caller gave up while the connection was being made: the provider has seen nothing of the request.</summary>
public sealed class ConnectCanceledException(CancellationToken token) : OperationCanceledException("Cancelled before the request was sent.", token);

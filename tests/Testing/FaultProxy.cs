using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Testing;

/// <summary>What a <see cref="FaultProxy"/> does to its connections.</summary>
public enum Fault
{
    /// <summary>Nothing: bytes pass.</summary>
    None,
    /// <summary>Nobody listens, and what was connected is cut off.</summary>
    Refused,
    /// <summary>Connections stand, and nothing passes in either direction: a partition, which no error tells.</summary>
    Silent,
}

/// <summary>A TCP proxy on loopback between a service and a backend, with faults on request.</summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Socket, byte> _sockets = new();
    private readonly Lock _lock = new();
    private readonly int _port;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Socket? _listener;
    private Fault _fault;
    private volatile int _generation;

    public FaultProxy(int port, int target)
    {
        (_port, Target) = (port, target);
        Listen();
    }

    /// <summary>Port of the backend for connections that are made from now on.</summary>
    public int Target { get; set; }

    /// <summary>How long each piece of an answer is held back.</summary>
    public TimeSpan Delay { get; set; }

    public Fault Fault
    {
        get { lock (_lock) return _fault; }
        set
        {
            TaskCompletionSource changed;
            lock (_lock)
            {
                if (_fault == value) return;
                _fault = value;
                changed = _changed;
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            if (value == Fault.Refused) CutOff(listenerToo: true);
            else if (_listener is null) Listen();
            changed.SetResult();
        }
    }

    /// <summary>Ends the connections that there are; new ones are welcome.</summary>
    public void CutConnections() => CutOff(listenerToo: false);

    /// <summary>Nothing passes any more on the connections that there are, and no error tells; new ones work.</summary>
    public void Freeze() => Interlocked.Increment(ref _generation);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        CutOff(listenerToo: true);
        _stop.Dispose();
    }

    private void Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, _port));
        listener.Listen(512);
        _listener = listener;
        _ = AcceptAsync(listener);
    }

    private void CutOff(bool listenerToo)
    {
        if (listenerToo)
        {
            _listener?.Dispose();
            _listener = null;
        }
        foreach (Socket socket in _sockets.Keys)
        {
            try
            {
                // A reset, as from a machine that is gone.
                socket.LingerState = new LingerOption(true, 0);
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException)
            {
                // It ends by itself just now.
            }
            socket.Dispose();
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true) _ = ServeAsync(await listener.AcceptAsync(_stop.Token));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // closed
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using Socket near = client;
        using var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        near.NoDelay = far.NoDelay = true;
        _sockets[near] = _sockets[far] = 0;
        int born = _generation;
        try
        {
            await far.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Target), _stop.Token);
            await Task.WhenAny(PumpAsync(near, far, delayed: false, born), PumpAsync(far, near, delayed: true, born));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // the backend is not there, or the test is over
        }
        finally
        {
            _sockets.TryRemove(near, out _);
            _sockets.TryRemove(far, out _);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool delayed, int born)
    {
        var buffer = new byte[65536];
        try
        {
            while (await from.ReceiveAsync(buffer, _stop.Token) is > 0 and var count)
            {
                await PassableAsync();
                if (born != _generation) await Task.Delay(Timeout.Infinite, _stop.Token);
                if (delayed && Delay > TimeSpan.Zero) await Task.Delay(Delay, _stop.Token);
                for (int sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _stop.Token);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // one of the two ends is gone
        }
    }

    private async Task PassableAsync()
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_fault != Fault.Silent) return;
                changed = _changed.Task;
            }
            await changed.WaitAsync(_stop.Token);
        }
    }
}

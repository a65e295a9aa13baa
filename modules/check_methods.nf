include { writeCases } from './cases'

// Optional packages, registrars of one's own, other tools' results: all problems before any work.
process CHECK_METHODS {
    label 'light'

    input:
    // The mounts are only declared, so that containers see the files.
    tuple val(words), val(fingerprint), path(mounts, stageAs: 'mounted?/*')
    // cases: one JSON text a test case. named: the files that they name; only declared.
    tuple val(cases), path(named, stageAs: 'named/?')
    val package_digest

    output:
    path 'checked/external.csv', emit: external
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    ${writeCases(cases)}
    wssamnet --threads ${task.cpus} check-methods ${words} \$(printf -- '--cases %s ' cases/*.json) --out checked
    """

    stub:
    """
    mkdir checked
    echo method,case,file > checked/external.csv
    """
}

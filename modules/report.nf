// One self-contained page, and its figures for a publication.
process REPORT {
    label 'light'

    input:
    path tables
    path evaluations, stageAs: 'evaluation?/*'
    path models, stageAs: 'model?/*'
    val folds // of the models, one each
    val options
    val package_digest

    output:
    path 'report.html', emit: page
    path 'figures', type: 'dir', emit: figures
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    def trained = [[models].flatten(), folds].transpose().collect { model, fold -> "--model ${model} --fold ${fold}" }.join(' ')
    """
    wssamnet --threads ${task.cpus} report --tables ${tables} \\
        \$(printf -- '--evaluation %s ' evaluation*/*) ${trained} \\
        --out report.html --figures figures ${options}
    """

    stub:
    """
    echo stub > report.html
    mkdir figures
    """
}
